import json
import os
import struct

import pytest

from ledger import models
from ledger.database import read, write
from workers.reconciler import model_folder, registry
from workers.reconciler.registry import Registry
from workers.settings import TENANT


def write_model(folder, *, weights=b"\0" * 8, **config):
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + weights)
    (folder / "config.json").write_text(json.dumps({"architectures": ["Tiny"], **config}))
    (folder / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}}}')


def write_adapter(folder, base, **settings):
    folder.mkdir(parents=True)
    write_model(folder)
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (folder / name).unlink()
    configuration = {"base_model_name_or_path": base, "peft_type": "LORA", "r": 4, **settings}
    (folder / "adapter_config.json").write_text(json.dumps(configuration))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def scanner(engine, root, tmp_path):
    return Registry(engine, root)


def entry(engine, name):
    with read(engine) as conn:
        return models.get(conn, "default", name)


def test_a_model_is_described_by_content(engine, root, scanner):
    write_model(root / "tiny", max_position_embeddings=32)
    assert scanner.scan() == 1
    row = entry(engine, "tiny")
    assert (row.state, row.kind, row.architecture) == ("ready", "model", "Tiny")
    assert (row.parameters, row.context_length) == (2, 32)
    assert row.bytes == (root / "tiny" / "model.safetensors").stat().st_size
    assert len(row.weights_digest) == len(row.tokenizer_digest) == 64
    assert row.path == str(root / "tiny")


def test_the_older_name_of_the_context_length_counts(engine, root, scanner):
    write_model(root / "tiny", n_positions=16)
    scanner.scan()
    assert entry(engine, "tiny").context_length == 16


def test_only_what_changed_is_hashed_again(engine, root, scanner, monkeypatch):
    write_model(root / "one")
    write_model(root / "two")
    scanner.scan()
    hashed = []
    real = model_folder.weights_digest
    monkeypatch.setattr(model_folder, "weights_digest", lambda f: hashed.append(f.name) or real(f))
    assert scanner.scan() == 0
    before = entry(engine, "two").weights_digest
    write_model(root / "two", weights=b"\1" * 8)
    assert scanner.scan() == 1
    assert hashed == ["two"]
    assert entry(engine, "two").weights_digest != before


def test_a_folder_that_is_still_written_is_left_for_the_next_scan(engine, root, scanner, monkeypatch):
    write_model(root / "tiny")
    real = model_folder.weights_digest

    def hash_while_writing(folder):
        digest = real(folder)
        os.utime(folder / "model.safetensors", ns=(0, 0))
        return digest

    monkeypatch.setattr(model_folder, "weights_digest", hash_while_writing)
    scanner.scan()
    assert entry(engine, "tiny") is None
    monkeypatch.setattr(model_folder, "weights_digest", real)
    scanner.scan()
    assert entry(engine, "tiny").state == "ready"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
        (lambda f: (f / "config.json").unlink(), "config.json"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer"),
        (lambda f: (f / "config.json").write_text("{"), "config.json"),
        (lambda f: (f / "pytorch_model.bin").write_bytes(b""), "pickled"),
        (lambda f: (f / "config.json").write_text('{"auto_map": {"A": "b.C"}}'), "auto_map"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\1\0\0\0\0\0\0\0{"), "header"),
        (lambda f: (f / "notes.txt").symlink_to("/etc/passwd"), "outside the model root"),
    ],
)
def test_an_unusable_folder_is_listed_with_the_reason(engine, root, scanner, spoil, reason):
    write_model(root / "tiny")
    spoil(root / "tiny")
    scanner.scan()
    row = entry(engine, "tiny")
    assert row.state == "invalid"
    assert reason in row.error
    assert str(root) not in row.error


def test_a_name_that_cannot_be_an_id_is_listed(engine, root, scanner):
    write_model(root / "my model")
    scanner.scan()
    assert "cannot be an id" in entry(engine, "my model").error


def test_what_is_no_model_is_ignored(engine, root, scanner):
    (root / "datasets").mkdir()
    (root / "readme.txt").write_text("")
    write_model(root / ".copying.x")
    assert scanner.scan() == 0
    with read(engine) as conn:
        assert models.list_page(conn, "default", limit=10) == []


def test_a_removed_folder_is_missing_and_comes_back(engine, root, scanner):
    write_model(root / "tiny")
    scanner.scan()
    (root / "tiny").rename(root / ".away")
    assert scanner.scan() == 1
    assert (entry(engine, "tiny").state, entry(engine, "tiny").error) == (
        "invalid",
        "no longer in the models folder",
    )
    (root / ".away").rename(root / "tiny")
    scanner.scan()
    assert entry(engine, "tiny").state == "ready"


def test_a_missing_root_marks_nothing_missing(engine, root, scanner):
    write_model(root / "tiny")
    scanner.scan()
    root.rename(root.with_name("unmounted"))
    with pytest.raises(FileNotFoundError):
        scanner.scan()
    assert entry(engine, "tiny").state == "ready"


def test_an_adapter_follows_its_base(engine, root, scanner):
    write_adapter(root / "a-lora", "some/where/tiny")
    scanner.scan()
    assert "its base tiny" in entry(engine, "a-lora").error
    write_model(root / "tiny", n_positions=16)
    scanner.scan()
    adapter, base = entry(engine, "a-lora"), entry(engine, "tiny")
    assert (adapter.state, adapter.kind, adapter.base) == ("ready", "adapter", "tiny")
    assert adapter.weights_digest == base.weights_digest
    assert adapter.context_length == 16
    assert adapter.adapter_digest is not None
    (root / "tiny").rename(root / ".away")
    scanner.scan()
    assert entry(engine, "a-lora").state == "invalid"


def test_an_adapter_that_cannot_be_run_says_why(engine, root, scanner):
    write_model(root / "tiny")
    write_adapter(root / "a-lora", "tiny", modules_to_save=["lm_head"])
    scanner.scan()
    found = entry(engine, "a-lora")
    assert found.state == "invalid"
    assert "merge it into its base" in found.error


def test_an_empty_folder_counts_as_scanned_and_another_folder_does_not(engine, root, tmp_path):
    with write(engine) as conn:
        models.record_scan(conn, TENANT, str(tmp_path / "elsewhere"))
    assert Registry(engine, root).scan() == 0
    with read(engine) as conn:
        assert models.is_scanned(conn, TENANT)
    with write(engine) as conn:
        models.forget_other_scans(conn, TENANT, str(root))
        assert models.is_scanned(conn, TENANT)
        models.forget_other_scans(conn, TENANT, str(tmp_path))
        assert not models.is_scanned(conn, TENANT)


def test_what_could_not_be_recorded_is_recorded_by_the_next_scan(
    engine, root, scanner, tmp_path, monkeypatch
):
    write_model(root / "tiny")
    monkeypatch.setattr(registry.models, "upsert", lambda *a: (_ for _ in ()).throw(OSError("away")))
    with pytest.raises(OSError, match="away"):
        scanner.scan()
    assert not (tmp_path / "registry.json").exists()
    monkeypatch.undo()
    scanner.scan()
    assert entry(engine, "tiny").state == "ready"
