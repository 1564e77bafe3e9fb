import shutil

import pytest
import torch

from workers.engines.errors import UnrenderablePrompt, UnsafeModelFolder, UnsupportedModel
from workers.engines.loading import load_engine, load_tokenizer
from workers.engines.rendering import render_messages, render_prompt


@pytest.fixture
def folder(folders, tmp_path):
    return shutil.copytree(folders / "reference", tmp_path / "model")


def test_loads_in_float32_and_evaluation_mode(reference):
    assert reference.dtype == torch.float32
    assert not reference.model.training
    assert reference.context_length == 64
    assert reference.eos_ids == {1}
    assert reference.vocabulary_size == 8


def test_end_tokens_come_from_all_three_places(folder, tiny_models):
    tiny_models.edit_json(folder / "config.json", eos_token_id=[3, 4])
    tiny_models.edit_json(folder / "generation_config.json", eos_token_id=5)
    assert load_engine(folder).eos_ids == {1, 3, 4, 5}


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "adapter_model.bin", "x.pkl"]
)
def test_pickles_are_refused_even_beside_safetensors(folder, name):
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeModelFolder, match="pickled"):
        load_engine(folder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_custom_code_is_refused(folder, tiny_models, file):
    (folder / "evil.py").write_text("raise SystemExit('code of the model folder ran')")
    tiny_models.edit_json(
        folder / file, auto_map={"AutoConfig": "evil.Config", "AutoTokenizer": ["evil.T", None]}
    )
    with pytest.raises(UnsafeModelFolder, match="auto_map"):
        load_engine(folder)


def test_nested_custom_code_is_refused(folder, tiny_models):
    tiny_models.edit_json(folder / "config.json", text_config={"auto_map": {"AutoModel": "evil.Model"}})
    with pytest.raises(UnsafeModelFolder, match="auto_map"):
        load_engine(folder)


def test_kernels_are_not_fetched(folder, tiny_models):
    tiny_models.edit_json(folder / "config.json", _attn_implementation="someone/kernel")
    with pytest.raises(UnsafeModelFolder, match="kernel"):
        load_engine(folder)


def test_links_out_of_the_root_are_refused(folder, tmp_path):
    outside = tmp_path / "secret.safetensors"
    shutil.move(folder / "model.safetensors", outside)
    (folder / "model.safetensors").symlink_to(outside)
    with pytest.raises(UnsafeModelFolder, match="outside"):
        load_engine(folder)
    assert load_engine(folder, root=tmp_path).parameters > 0


def test_a_folder_outside_the_root_is_refused(folder, tmp_path):
    (tmp_path / "root").mkdir()
    with pytest.raises(UnsafeModelFolder, match="outside"):
        load_engine(tmp_path / "root" / ".." / "model", root=tmp_path / "root")


def test_weights_must_be_safetensors(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModel, match="safetensors"):
        load_engine(folder)


def test_adapters_and_quantised_weights_are_named(folder, tiny_models):
    tiny_models.edit_json(folder / "config.json", quantization_config={"quant_method": "gptq"})
    with pytest.raises(UnsupportedModel, match="quantised"):
        load_engine(folder)
    tiny_models.edit_json(folder / "adapter_config.json", base_model_name_or_path="x")
    with pytest.raises(UnsupportedModel, match="adapter"):
        load_engine(folder)


def test_truncated_weights_are_an_expected_failure(folder):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnsupportedModel):
        load_engine(folder)


def test_weights_that_do_not_fill_the_model_are_refused(folder, tiny_models):
    # transformers would draw the missing layer at random and go on.
    tiny_models.edit_json(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(UnsupportedModel, match="missing"):
        load_engine(folder)


def test_unknown_architecture_is_refused(folder, tiny_models):
    tiny_models.edit_json(folder / "config.json", model_type="nonesuch")
    with pytest.raises(UnsupportedModel):
        load_engine(folder)


@pytest.mark.parametrize(
    "config", [{"num_attention_heads": 0}, {"num_attention_heads": "x"}, {"hidden_act": "nonesuch"}]
)
def test_whatever_transformers_raises_says_that_it_cannot_load(folder, tiny_models, config):
    tiny_models.edit_json(folder / "config.json", **config)
    with pytest.raises(UnsupportedModel, match="transformers cannot load it"):
        load_engine(folder)


@pytest.mark.parametrize("tokenizer", [{"model": {}}, {"pre_tokenizer": {"type": "Nonesuch"}}])
def test_a_tokenizer_that_is_none_is_an_expected_failure(folder, tiny_models, tokenizer):
    tiny_models.edit_json(folder / "tokenizer.json", **tokenizer)
    for load in (load_engine, load_tokenizer):
        with pytest.raises(UnsupportedModel, match="transformers cannot load"):
            load(folder)


def test_memory_that_runs_out_says_nothing_of_a_model(folder, monkeypatch):
    def read(folder, precision):
        raise MemoryError

    monkeypatch.setattr("workers.engines.loading._read", read)
    with pytest.raises(MemoryError):
        load_engine(folder)


def test_a_prompt_is_encoded_by_the_defaults_of_the_tokenizer(reference):
    assert render_prompt(reference.tokenizer, "abc") == [2, 3, 4]
    with pytest.raises(UnrenderablePrompt, match="no token"):
        render_prompt(reference.tokenizer, "")


def test_messages_use_the_chat_template_with_a_generation_prompt(reference):
    # The template of the tiny model writes the contents, then f.
    messages = [{"role": "user", "content": "ab"}, {"role": "user", "content": "c"}]
    assert render_messages(reference.tokenizer, messages) == [2, 3, 4, 7]


def test_messages_without_a_template_are_refused(folder):
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(UnrenderablePrompt, match="no chat template"):
        render_messages(load_engine(folder).tokenizer, [{"role": "user", "content": "a"}])


def test_a_template_that_refuses_is_an_expected_failure(folder):
    (folder / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(UnrenderablePrompt, match="roles must alternate"):
        render_messages(load_engine(folder).tokenizer, [{"role": "user", "content": "a"}])


def test_a_sandboxed_template_cannot_reach_python(folder):
    (folder / "chat_template.jinja").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(UnrenderablePrompt):
        render_messages(load_engine(folder).tokenizer, [{"role": "user", "content": "a"}])
