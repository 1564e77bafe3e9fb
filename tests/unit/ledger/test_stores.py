"""One contract, two stores: a local disk, and an S3-compatible server over HTTP."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.errors import ArtefactConflict, ArtefactCorrupt, ArtefactMissing, InvalidKey, StoreUnavailable
from ledger.stores import open_store

KEY = "default/anl_1/r001-s00042-sample.e7.parquet"
DIGEST = hashlib.sha256(b"rows").hexdigest()


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path, monkeypatch):
    if request.param == "local":
        return open_store("", tmp_path / "artefacts")
    server = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(server.new_bucket(), tmp_path / "copies")


def test_bytes_and_files_come_back(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    assert store.put(KEY, b"rows") == store.put(KEY, b"rows")
    assert store.open_verified(KEY, DIGEST) == b"rows"
    large = store.put("default/anl_1/large", source)
    assert (large.bytes, store.open_verified(large.key, large.sha256)) == (3_000_000, source.read_bytes())
    assert store.path_of(KEY).read_bytes() == b"rows"
    store.check_writable(0)


def test_other_bytes_never_replace(store):
    store.put(KEY, b"rows")
    with pytest.raises(ArtefactConflict):
        store.put(KEY, b"zombie")
    assert store.open_verified(KEY, DIGEST) == b"rows"


def test_one_of_many_writers_wins_whole(store):
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


def test_what_is_not_there_and_what_was_changed(store):
    with pytest.raises(ArtefactMissing):
        store.open_verified(KEY, DIGEST)
    assert not store.path_of(KEY).exists()
    store.put(KEY, b"rowz")
    with pytest.raises(ArtefactCorrupt):
        store.open_verified(KEY, DIGEST)


@pytest.mark.parametrize("key", ["../x", "/x", "a/../../x", "a//b", ".tmp/x", "a/.b", "", "a\0b", "a b"])
def test_no_key_leads_out(store, key):
    for act in (store.path_of, store.delete, lambda k: store.put(k, b""), store.delete_prefix):
        with pytest.raises(InvalidKey):
            act(key)


def test_deleting(store):
    for key in ("t/a/one", "t/a/two", "t/ab/three"):
        store.put(key, b"rows")
    assert store.delete_prefix("t/a") == 2
    assert store.delete_prefix("t/a") == 0
    store.delete("t/a/one")
    assert list(store.keys_older_than(-60)) == ["t/ab/three"]
    assert list(store.keys_older_than(60)) == []
    store.delete("t/ab/three")
    assert list(store.keys_older_than(-60)) == []


def test_an_object_store_that_is_away_is_unavailable(tmp_path, monkeypatch, s3):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    away = open_store("s3://b/p", tmp_path)
    with pytest.raises(StoreUnavailable) as refusal:
        away.check_writable(0)
    assert "127.0.0.1" not in str(refusal.value)
    with pytest.raises(StoreUnavailable):
        away.open_verified(KEY, DIGEST)


def test_a_bucket_that_is_not_there_takes_nothing(tmp_path, monkeypatch, s3):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    store = open_store("s3://nobody-made-it/p", tmp_path)
    with pytest.raises(StoreUnavailable):
        store.check_writable(0)
    with pytest.raises(StoreUnavailable):
        store.put(KEY, b"rows")


def test_an_address_of_neither(tmp_path):
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        open_store("gs://bucket", tmp_path)
