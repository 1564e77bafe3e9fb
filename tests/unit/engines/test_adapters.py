"""LoRA adapters on a shared base, against the same adapter merged by PEFT."""

import json
import shutil
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from workers.engines.adapter_folder import WEIGHTS, checked_adapter
from workers.engines.adapters import attach_adapter, detach_adapter
from workers.engines.causal_model import ModelIdentity
from workers.engines.digests import adapter_digest
from workers.engines.errors import UnsafeModelFolder, UnsupportedModel
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.scoring import score_pair

PROMPT = [2, 3, 4, 5]
SETTINGS = {
    "plain": {},
    "rank-stabilised": {"use_rslora": True, "alpha_pattern": {"q_proj": 3}},
    "dora": {"use_dora": True, "rank_pattern": {"v_proj": 2}},
}


@pytest.fixture
def base(folders):
    return load_engine(folders / "reference")


@pytest.fixture(scope="module")
def make_adapter(folders, tiny_models, tmp_path_factory):
    def make(seed=0, **settings):
        return tiny_models.build_tiny_adapter(
            tmp_path_factory.mktemp("adapter") / "lora", folders / "reference", seed=seed, **settings
        )

    return make


def checked(folder, base):
    return checked_adapter(folder, base_tokenizer=base.identity.tokenizer_digest)


def attached(base, folder):
    found = ModelIdentity(
        base.identity.weights_digest, base.identity.tokenizer_digest, adapter_digest(folder)
    )
    return attach_adapter(base, checked(folder, base), found)


def logits(engine):
    return engine.logits(engine.read(PROMPT).hidden)


def merged_logits(base_folder, adapter_folder):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(base_folder)
        model = PeftModel.from_pretrained(model, adapter_folder).merge_and_unload()
    with torch.inference_mode():
        return model(input_ids=torch.tensor([PROMPT])).logits[:, -1].double()


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_an_attached_adapter_has_the_law_of_the_merged_model(base, folders, make_adapter, settings):
    folder = make_adapter(**settings)
    engine = attached(base, folder)
    torch.testing.assert_close(
        logits(engine), merged_logits(folders / "reference", folder), rtol=0, atol=1e-5
    )
    assert (logits(engine) - logits(base)).abs().max() > 0.1


def test_a_plain_lora_computes_by_our_own_forward_on_the_base_s_weights(base, make_adapter):
    engine = attached(base, make_adapter(use_rslora=True))
    assert base.is_lean
    assert engine.is_lean
    assert engine.head is base.head
    for mine, theirs in zip(engine._lean._layers, base._lean._layers, strict=True):
        for name in ("attention_in", "attention_out", "mlp_in", "mlp_out"):
            assert getattr(mine, name).weight.data_ptr() == getattr(theirs, name).weight.data_ptr()
    assert not attached(base, make_adapter(12, use_dora=True)).is_lean


def test_the_base_keeps_its_law_bit_for_bit(base, make_adapter):
    alone = logits(base)
    first, second = attached(base, make_adapter(1)), attached(base, make_adapter(2))
    one = logits(first)
    assert torch.equal(logits(base), alone)
    assert not torch.equal(logits(second), one)
    assert torch.equal(logits(first), one)
    detach_adapter(first)
    assert torch.equal(logits(base), alone)


def test_an_adapter_can_leave_and_come_back(base, make_adapter):
    folder = make_adapter(3)
    engine = attached(base, folder)
    before = logits(engine)
    detach_adapter(engine)
    assert torch.equal(logits(attached(base, folder)), before)


def test_sampled_and_scored_log_probabilities_agree_across_switches(base, make_adapter):
    engine, policy = attached(base, make_adapter(4)), Policy(max_new_tokens=6)
    draws = engine.sample(PROMPT, np.random.default_rng(0).random((32, 6)), policy)
    base.sample(PROMPT, np.random.default_rng(1).random((4, 6)), policy)
    scores = score_pair(engine, base, PROMPT, draws.token_ids, policy, draws.logprobs)
    assert scores.max_token_diff.max() < 1e-4
    assert np.abs(scores.own_logprob - scores.logprob).max() > 0.1


def test_each_adapter_counts_its_own_parameters(base, make_adapter):
    alone, folder = base.parameters, make_adapter(5)
    engine = attached(base, folder)
    attached(base, make_adapter(6))
    own = sum(tensor.numel() for tensor in load_file(folder / WEIGHTS).values())
    assert engine.parameters == alone + own


def test_its_chat_template_is_the_one_it_brings(base, make_adapter, folders, tmp_path, tiny_models):
    folder = shutil.copytree(make_adapter(7), tmp_path / "lora")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folders / "reference" / name, folder / name)
    (folder / "chat_template.jinja").write_text("a{{ messages[0]['content'] }}")
    engine = attached(base, folder)
    assert engine.tokenizer.chat_template == "a{{ messages[0]['content'] }}"
    assert base.tokenizer.chat_template != engine.tokenizer.chat_template


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"peft_type": "IA3"}, "only LORA"),
        ({"task_type": "SEQ_CLS"}, "SEQ_CLS"),
        ({"init_lora_weights": "pissa"}, "changes the base's weights"),
        ({"modules_to_save": ["lm_head"]}, "replaces whole modules"),
        ({"bias": "all"}, "biases"),
        ({"megatron_config": {"x": 1}}, "asks for megatron_config"),
        ({"something_new": "yes"}, "asks for something_new"),
    ],
)
def test_what_would_not_be_run_exactly_is_refused_by_name(
    base, make_adapter, tmp_path, tiny_models, change, said
):
    folder = shutil.copytree(make_adapter(8), tmp_path / "lora")
    tiny_models.edit_json(folder / "adapter_config.json", **change)
    with pytest.raises(UnsupportedModel, match=said):
        checked(folder, base)


def test_another_tokenizer_is_refused(base, make_adapter, folders, tmp_path):
    folder = shutil.copytree(make_adapter(9), tmp_path / "lora")
    content = json.loads((folders / "reference" / "tokenizer.json").read_text())
    content["model"]["vocab"]["z"] = 9
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(UnsupportedModel, match="tokenizer differs"):
        checked(folder, base)


def test_pickles_and_ways_out_are_refused(base, make_adapter, tmp_path):
    folder = shutil.copytree(make_adapter(10), tmp_path / "root" / "lora")
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeModelFolder, match="pickled"):
        checked(folder, base)
    (folder / "adapter_model.bin").unlink()
    (folder / WEIGHTS).rename(tmp_path / "elsewhere")
    (folder / WEIGHTS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeModelFolder, match="leads outside"):
        checked(folder, base)


def _with_weights(folder, target, change):
    folder = shutil.copytree(folder, target)
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)
    return folder


def _renamed(state, old, new):
    return {key.replace(old, new): tensor for key, tensor in state.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {k: v[..., :3].contiguous() for k, v in s.items()}, "does not fit its base"),
        (lambda s: _renamed(s, "q_proj", "z_proj"), "does not have"),
        (lambda s: _renamed(s, "model.layers.0.self_attn.q_proj", "lm_head"), "output head"),
        (lambda s: _renamed(s, "lora_A", "lora_embedding_A"), "only LoRA weights"),
        (lambda s: {k: v * float("nan") for k, v in s.items()}, "NaN"),
        (lambda s: {}, "empty"),
        (lambda s: {k: v for k, v in s.items() if "lora_B" not in k}, "does not fit its base at"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_leave_the_base_alone(
    base, make_adapter, tmp_path, change, said
):
    alone = logits(base)
    folder = _with_weights(make_adapter(11), tmp_path / "lora", change)
    with pytest.raises(UnsupportedModel, match=said):
        attached(base, folder)
    assert torch.equal(logits(base), alone)
    good = make_adapter(11)
    assert (logits(attached(base, good)) - alone).abs().max() > 0.1
