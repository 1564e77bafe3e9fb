import json
import os
import shutil
from pathlib import Path

import pytest

from tiltscope.watch.checkpoints import Print, found_in, what_is_missing

TINY = Path(__file__).parents[4] / "examples" / "models" / "tiny-base"


@pytest.fixture
def checkpoint(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "step-1"))


def test_a_real_model_is_whole(checkpoint):
    assert what_is_missing(checkpoint) is None


def test_cut_anywhere_it_is_not_whole(checkpoint):
    weights = checkpoint / "model.safetensors"
    size = weights.stat().st_size
    for length in (0, 7, 8, 100, size // 2, size - 1):
        os.truncate(weights, length)
        assert what_is_missing(checkpoint) == "model.safetensors is not whole"
        shutil.copy(TINY / "model.safetensors", weights)
    assert what_is_missing(checkpoint) is None


def test_a_header_that_lies_is_not_whole(checkpoint):
    (checkpoint / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    assert what_is_missing(checkpoint) == "model.safetensors is not whole"


def test_half_a_configuration(checkpoint):
    (checkpoint / "config.json").write_text("{")
    assert what_is_missing(checkpoint) == "config.json is not whole"


def test_no_weights(checkpoint):
    (checkpoint / "model.safetensors").unlink()
    assert what_is_missing(checkpoint) == "there are no weights"


def test_shards_by_their_names(checkpoint):
    (checkpoint / "model.safetensors").rename(checkpoint / "model-00002-of-00003.safetensors")
    assert what_is_missing(checkpoint) == "model-00001-of-00003.safetensors is missing"
    for number in (1, 3):
        shutil.copy(TINY / "model.safetensors", checkpoint / f"model-{number:05}-of-00003.safetensors")
    assert what_is_missing(checkpoint) is None


def test_shards_by_the_index(checkpoint):
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "more.safetensors"}}))
    assert what_is_missing(checkpoint) == "more.safetensors is missing"
    index.write_text('{"weight_map"')
    assert "index.json" in what_is_missing(checkpoint)


def test_the_order_is_that_of_training(tmp_path):
    for name in ("step-10", "step-9", "final", "step-100", ".tmp-step-5"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "logs").mkdir()
    assert [path.name for path in found_in(tmp_path)] == ["final", "step-9", "step-10", "step-100"]


def test_a_print_changes_with_any_file(checkpoint):
    before = Print.of(checkpoint)
    assert Print.of(checkpoint) == before
    os.utime(checkpoint / "config.json", ns=(1, 1))
    assert Print.of(checkpoint) != before
