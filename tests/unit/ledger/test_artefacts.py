import hashlib
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.artefacts import ArtefactStore, Stored, shard_key
from ledger.errors import ArtefactConflict, ArtefactCorrupt, ArtefactMissing, InvalidKey, StoreUnavailable

KEY = "default/anl_1/r001-s00042-sample.e7.parquet"


@pytest.fixture
def store(tmp_path):
    return ArtefactStore(tmp_path / "artefacts")


def files(store):
    return [path for path in store.root.rglob("*") if path.is_file()]


class TestPut:
    def test_bytes_come_back(self, store):
        digest = hashlib.sha256(b"rows").hexdigest()
        assert store.put(KEY, b"rows") == Stored(KEY, digest, 4)
        assert store.open_verified(KEY, digest) == b"rows"
        assert files(store) == [store.path_of(KEY)]

    def test_a_file_is_copied(self, store, tmp_path):
        source = tmp_path / "source"
        source.write_bytes(b"x" * 3_000_000)
        stored = store.put(KEY, source)
        assert stored.bytes == 3_000_000
        assert store.open_verified(KEY, stored.sha256) == source.read_bytes()

    def test_is_read_only(self, store):
        store.put(KEY, b"rows")
        assert stat.S_IMODE(store.path_of(KEY).stat().st_mode) == 0o444

    def test_the_same_bytes_again_are_fine(self, store):
        assert store.put(KEY, b"rows") == store.put(KEY, b"rows")

    def test_other_bytes_never_replace(self, store):
        stored = store.put(KEY, b"rows")
        with pytest.raises(ArtefactConflict):
            store.put(KEY, b"zombie")
        assert store.open_verified(KEY, stored.sha256) == b"rows"
        assert files(store) == [store.path_of(KEY)]

    def test_one_of_many_writers_wins_whole(self, store):
        start = threading.Barrier(8)

        def put(number):
            start.wait()
            try:
                return store.put(KEY, bytes([number]) * 100_000)
            except ArtefactConflict:
                return None

        with ThreadPoolExecutor(8) as pool:
            (won,) = [stored for stored in pool.map(put, range(8)) if stored is not None]
        assert len(store.open_verified(KEY, won.sha256)) == 100_000

    def test_a_writer_that_dies_leaves_no_name(self, store, monkeypatch):
        def die(*_):
            raise OSError("no space left on device")

        monkeypatch.setattr(os, "fsync", die)
        with pytest.raises(StoreUnavailable):
            store.put(KEY, b"rows")
        assert files(store) == []

    def test_file_then_folder_reach_the_disk_around_the_link(self, store, monkeypatch):
        steps = []
        real_sync, real_link = os.fsync, os.link

        def sync(handle):
            steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
            real_sync(handle)

        def link(*names):
            steps.append("link")
            real_link(*names)

        monkeypatch.setattr(os, "fsync", sync)
        monkeypatch.setattr(os, "link", link)
        store.put(KEY, b"rows")
        # default/ and default/anl_1/ are new, so the folders that hold them are synced as well.
        assert steps == ["file", "folder", "folder", "link", "folder"]


class TestOpenVerified:
    @pytest.mark.parametrize("damage", [b"rowS", b"row", b"", b"rows!"])
    def test_damage_is_noticed(self, store, damage):
        stored = store.put(KEY, b"rows")
        path = store.path_of(KEY)
        path.chmod(0o644)
        path.write_bytes(damage)
        with pytest.raises(ArtefactCorrupt):
            store.open_verified(KEY, stored.sha256)

    def test_a_missing_file(self, store):
        with pytest.raises(ArtefactMissing):
            store.open_verified(KEY, "0" * 64)


class TestContainment:
    @pytest.mark.parametrize(
        "key",
        [
            *("", "/etc/passwd", "..", "a/../../b", "a/..", "a//b", "a/", "./a", "a/.hidden", ".tmp/x"),
            *("a\0b", "a\\b", "a\nb", "~/a", "a/ b", "C:\\x"),
        ],
    )
    def test_keys_that_are_refused(self, store, key):
        for act in (store.path_of, store.delete_prefix, store.delete):
            with pytest.raises(InvalidKey):
                act(key)
        with pytest.raises(InvalidKey):
            store.put(key, b"")
        with pytest.raises(InvalidKey):
            store.open_verified(key, "")

    def test_a_link_that_leads_out(self, store, tmp_path):
        secret = tmp_path / "secret"
        secret.mkdir()
        (secret / "canary").write_bytes(b"tweet")
        (store.root / "default").symlink_to(secret)
        with pytest.raises(InvalidKey):
            store.open_verified("default/canary", hashlib.sha256(b"tweet").hexdigest())
        with pytest.raises(InvalidKey):
            store.delete_prefix("default")
        assert (secret / "canary").exists()


class TestDeleting:
    def test_prefix_is_a_folder_not_a_spelling(self, store):
        store.put("default/anl_1/a", b"1")
        store.put("default/anl_1/b", b"2")
        store.put("default/anl_10/a", b"3")
        assert store.delete_prefix("default/anl_1") == 2
        assert store.delete_prefix("default/anl_1") == 0
        assert files(store) == [store.path_of("default/anl_10/a")]

    def test_only_old_temporaries_are_swept(self, store):
        for name, age in (("old", 7200), ("new", 0)):
            path = store.root / ".tmp" / name
            path.write_bytes(b"half")
            os.utime(path, (path.stat().st_mtime - age,) * 2)
        assert list(store.keys_older_than(0)) == []
        assert store.sweep_temporaries(3600) == 1
        assert [path.name for path in files(store)] == ["new"]


def test_shard_key_holds_the_epoch():
    shard = {"tenant_id": "default", "analysis_id": "anl_1", "round": 1, "idx": 42, "work": "sample"}
    assert shard_key(shard, 7) == KEY
