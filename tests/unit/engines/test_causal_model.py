import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    MambaConfig,
    MambaForCausalLM,
)

from workers.engines.enumeration import enumerate_completions
from workers.engines.errors import UnsupportedModel
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.scoring import score_pair
from workers.engines.seeds import uniforms

PROMPT = [2, 3, 4, 5, 6, 7]
ENDS = {"eos_token_id": 1, "bos_token_id": None, "pad_token_id": None}


@pytest.fixture(scope="module")
def save(tiny_models, tmp_path_factory):
    def saved(model):
        folder = tmp_path_factory.mktemp("model")
        model.save_pretrained(folder)
        tiny_models.build_tokenizer("abcdef").save_pretrained(folder)
        return folder

    return saved


@pytest.fixture(scope="module")
def gemma(save):
    """Alternating sliding-window attention, shorter than the prompt, and capped logits."""
    config = Gemma2Config(
        vocab_size=8,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=4,
        sliding_window=4,
        final_logit_softcapping=2.0,
        attn_logit_softcapping=None,
        query_pre_attn_scalar=4,
        initializer_range=0.4,
        max_position_embeddings=64,
        **ENDS,
    )
    return load_engine(save(Gemma2ForCausalLM(config)))


def test_sliding_windows_and_capped_logits_are_exact(gemma, slow_law):
    policy = Policy(max_new_tokens=10, top_k=6)
    batch = gemma.sample(PROMPT, uniforms("ab" * 32, 0, 20, 10), policy)
    assert max(map(len, batch.token_ids)) > 4
    scores = score_pair(gemma, gemma, PROMPT, batch.token_ids, policy, batch.logprobs)
    assert scores.max_token_diff.max() < 1e-4
    for ids, logprobs in zip(batch.token_ids, batch.logprobs, strict=True):
        want = [slow_law(gemma, [*PROMPT, *ids[:t].tolist()], policy)[token] for t, token in enumerate(ids)]
        np.testing.assert_allclose(logprobs, want, atol=1e-4)


def test_enumeration_selects_rows_of_sliding_windows(gemma):
    completions = enumerate_completions(gemma, PROMPT, Policy(max_new_tokens=4))
    assert np.exp([c.log_prob for c in completions]).sum() == pytest.approx(1)
    ids = [np.array(c.token_ids, dtype=np.int32) for c in completions]
    scores = score_pair(gemma, gemma, PROMPT, ids, Policy(max_new_tokens=4), [np.zeros(len(x)) for x in ids])
    np.testing.assert_allclose(scores.logprob, [c.log_prob for c in completions], atol=1e-4)


def test_a_head_that_is_not_linear_is_refused(save):
    config = GraniteConfig(
        vocab_size=8,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        logits_scaling=8.0,
        **ENDS,
    )
    with pytest.raises(UnsupportedModel, match="linear head"):
        load_engine(save(GraniteForCausalLM(config)))


def test_recurrent_state_is_refused(save):
    config = MambaConfig(vocab_size=8, hidden_size=16, num_hidden_layers=1, state_size=4, **ENDS)
    with pytest.raises(UnsupportedModel, match="recurrent"):
        load_engine(save(MambaForCausalLM(config)))


def test_half_precision_weights_keep_a_float32_head(folders):
    engine = load_engine(folders / "reference", dtype=torch.bfloat16)
    assert engine.model.dtype == torch.bfloat16
    policy = Policy(max_new_tokens=6)
    batch = engine.sample(PROMPT, uniforms("ab" * 32, 0, 20, 6), policy)
    scores = score_pair(engine, engine, PROMPT, batch.token_ids, policy, batch.logprobs)
    # Single tokens of bfloat16 engines drift by some hundredths; that is what the column is for.
    assert 0 < scores.max_token_diff.max() < 0.2
    assert not engine.is_same_law(load_engine(folders / "reference"))


def test_scores_in_room_stand_where_the_last_ones_stood_and_others_do_not(reference):
    width = reference.head.shape[1]
    hidden = torch.randn((9, width), generator=torch.Generator().manual_seed(2))
    plain = reference.scores(hidden)
    first = reference.scores(hidden, in_room=True)
    assert torch.equal(first, plain)
    second = reference.scores(-hidden[:4], in_room=True)
    assert second.data_ptr() == first.data_ptr()
    assert torch.equal(second, reference.scores(-hidden[:4]))
    assert torch.equal(reference.scores(hidden), plain)
    assert plain.data_ptr() != first.data_ptr()
