import json

import pytest

from tiltscope.errors import SetupError
from tiltscope.registry import add_model


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "modeling_custom.py").write_text("raise SystemExit('never run')")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    return folder


def test_weights_and_configuration_are_copied_and_code_is_not(tmp_path, source):
    target = add_model(tmp_path / "models", "mine", str(source))
    assert sorted(file.name for file in target.iterdir()) == ["config.json", "model.safetensors"]
    assert list((tmp_path / "models").iterdir()) == [target]


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 200])
def test_a_name_that_is_no_id_is_refused(tmp_path, source, name):
    with pytest.raises(SetupError, match="cannot be a model id"):
        add_model(tmp_path / "models", name, str(source))


def test_a_taken_name_is_refused_and_nothing_changes(tmp_path, source):
    add_model(tmp_path / "models", "mine", str(source))
    with pytest.raises(SetupError, match="exists already"):
        add_model(tmp_path / "models", "mine", str(source))


def test_other_weight_formats_are_refused_with_the_way_out(tmp_path, source):
    (source / "model.safetensors").unlink()
    with pytest.raises(SetupError, match="save_pretrained"):
        add_model(tmp_path / "models", "mine", str(source))


def test_a_download_needs_its_revision(tmp_path):
    with pytest.raises(SetupError, match="name the revision"):
        add_model(tmp_path / "models", "mine", "hf:org/model")


def test_an_adapter_is_a_model_too(tmp_path, source):
    (source / "config.json").rename(source / "adapter_config.json")
    (source / "model.safetensors").rename(source / "adapter_model.safetensors")
    target = add_model(tmp_path / "models", "lora", str(source))
    assert sorted(f.name for f in target.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    (source / "adapter_config.json").unlink()
    with pytest.raises(SetupError, match="neither"):
        add_model(tmp_path / "models", "other", str(source))
