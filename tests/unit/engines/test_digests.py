import json
import shutil
import subprocess
import sys

import pytest

from workers.engines.digests import context_length, parameter_count, tokenizer_digest, weights_digest


@pytest.fixture
def folder(folders, tmp_path):
    return shutil.copytree(folders / "reference", tmp_path / "model")


def test_two_seeds_are_two_models_with_one_tokenizer(folders):
    one, two = folders / "reference", folders / "candidate"
    assert weights_digest(one) != weights_digest(two)
    assert tokenizer_digest(one) == tokenizer_digest(two)


def test_weights_digest_sees_weights_configuration_and_end_tokens(folder, tiny_models):
    seen = [weights_digest(folder)]
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    seen.append(weights_digest(folder))
    tiny_models.edit_json(folder / "config.json", rms_norm_eps=1e-3)
    seen.append(weights_digest(folder))
    tiny_models.edit_json(folder / "generation_config.json", eos_token_id=[1, 5])
    seen.append(weights_digest(folder))
    assert len(set(seen)) == 4


def test_generation_defaults_are_no_part_of_a_model(folder, tiny_models):
    before = weights_digest(folder)
    tiny_models.edit_json(folder / "generation_config.json", top_k=5, temperature=0.1)
    assert weights_digest(folder) == before


def test_tokenizer_digest_ignores_templates_and_call_settings(folder, tiny_models):
    before = tokenizer_digest(folder)
    (folder / "chat_template.jinja").write_text("other")
    tiny_models.edit_json(folder / "tokenizer.json", truncation={"max_length": 3})
    assert tokenizer_digest(folder) == before


def test_tokenizer_digest_sees_ids(folder):
    before = tokenizer_digest(folder)
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["a"], content["model"]["vocab"]["b"] = 3, 2
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert tokenizer_digest(folder) != before


def test_vocabulary_files_stand_in_for_tokenizer_json(tmp_path):
    with pytest.raises(FileNotFoundError):
        tokenizer_digest(tmp_path)
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    first = tokenizer_digest(tmp_path)
    (tmp_path / "merges.txt").write_text("a b")
    assert tokenizer_digest(tmp_path) != first


def test_parameters_and_context_are_read_without_loading(folders, reference, gpt2):
    assert parameter_count(folders / "reference") == reference.parameters
    assert parameter_count(folders / "gpt2") == gpt2.parameters  # tied: counted once by both
    assert context_length(folders / "gpt2") == context_length(folders / "reference") == 64


def test_malformed_header_is_refused(folder):
    (folder / "model.safetensors").write_bytes(b"\xff" * 16)
    with pytest.raises(ValueError, match="header"):
        parameter_count(folder)


def test_nothing_heavy_is_imported():
    code = "import sys, workers.engines.digests, workers.engines.model_folder; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
