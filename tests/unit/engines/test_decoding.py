import dataclasses
import shutil

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from workers.engines.batch_memory import BatchMemory
from workers.engines.causal_model import CausalModel
from workers.engines.decoding import sample_completions
from workers.engines.drawing import inverse_transform
from workers.engines.enumeration import enumerate_completions
from workers.engines.errors import EngineAborted, NonFiniteLogits, PromptTooLong
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.seeds import uniforms

PROMPT = [2, 3, 4]
KEY = "0123456789abcdef" * 4
POLICIES = [
    Policy(max_new_tokens=12),
    Policy(temperature=0.6, top_k=3, max_new_tokens=12),
    Policy(top_p=0.8, max_new_tokens=12, stop=("ab",)),
    Policy(min_p=0.2, max_new_tokens=12),
]


def draw(engine, policy, lo=0, hi=200, batch_size=64, **kwargs):
    return engine.sample(PROMPT, uniforms(KEY, lo, hi, policy.max_new_tokens), policy, batch_size, **kwargs)


def ids_of(batch):
    return [tuple(ids.tolist()) for ids in batch.token_ids]


@pytest.mark.parametrize("name", ["reference", "gpt2"])
@pytest.mark.parametrize(
    "policy",
    [
        Policy(max_new_tokens=3),
        Policy(temperature=0.7, top_k=4, top_p=0.9, max_new_tokens=4, stop=("a", "bc")),
        Policy(min_p=0.2, max_new_tokens=3),
    ],
)
def test_frequencies_and_log_probabilities_match_the_exact_law(request, name, policy):
    engine = request.getfixturevalue(name)
    exact = {c.token_ids: c for c in enumerate_completions(engine, PROMPT, policy)}
    n = 4000
    batch = draw(engine, policy, 0, n, batch_size=1000)
    counts = dict.fromkeys(exact, 0)
    for ids, logprobs, reason in zip(ids_of(batch), batch.logprobs, batch.finish_reasons, strict=True):
        counts[ids] += 1
        assert logprobs.sum(dtype=np.float64) == pytest.approx(exact[ids].log_prob, abs=2e-5)
        assert reason == exact[ids].finish_reason
    expected = n * np.exp([c.log_prob for c in exact.values()])
    observed = np.array(list(counts.values()))
    common = expected >= 5
    cells = [np.append(x[common], x[~common].sum()) for x in (observed, expected)]
    kept = cells[1] > 1e-9
    assert chisquare(cells[0][kept], cells[1][kept]).pvalue > 1e-4


@pytest.mark.parametrize("name", ["reference", "gpt2"])
@pytest.mark.parametrize("policy", POLICIES)
def test_log_probabilities_equal_a_full_forward(request, slow_law, name, policy):
    engine = request.getfixturevalue(name)
    batch = draw(engine, policy, 0, 12)
    for ids, logprobs in zip(ids_of(batch), batch.logprobs, strict=True):
        for t, token in enumerate(ids):
            assert logprobs[t] == pytest.approx(
                slow_law(engine, [*PROMPT, *ids[:t]], policy)[token], abs=1e-4
            )


@pytest.mark.parametrize("name", ["reference", "gpt2"])
@pytest.mark.parametrize("policy", POLICIES)
def test_batch_size_changes_nothing(request, name, policy):
    engine = request.getfixturevalue(name)
    whole = draw(engine, policy, 0, 65, batch_size=64)
    for batch_size in (1, 8):
        other = draw(engine, policy, 0, 65, batch_size=batch_size)
        assert ids_of(other) == ids_of(whole)
        assert other.finish_reasons == whole.finish_reasons
        assert other.texts == whole.texts
        for one, two in zip(other.logprobs, whole.logprobs, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-4)


def test_ranges_of_samples_compose(reference):
    policy = POLICIES[0]
    parts = ids_of(draw(reference, policy, 0, 37)) + ids_of(draw(reference, policy, 37, 90, batch_size=7))
    assert parts == ids_of(draw(reference, policy, 0, 90))


def test_prefix_of_an_inverse_transform_is_the_slow_walk(reference, slow_law):
    """The token is the first whose cumulative probability exceeds the uniform, in id order."""
    policy = Policy(max_new_tokens=6, top_k=5)
    drawn = uniforms(KEY, 0, 20, 6)
    for row, ids in zip(drawn, ids_of(reference.sample(PROMPT, drawn, policy)), strict=True):
        for t, token in enumerate(ids):
            cdf = np.cumsum(np.exp(slow_law(reference, [*PROMPT, *ids[:t]], policy)))
            assert token == int(np.searchsorted(cdf, row[t], side="right"))


def test_end_token_is_part_of_the_completion_and_its_text_is_not(reference):
    batch = draw(reference, Policy(max_new_tokens=12))
    ends = [ids[-1] == 1 for ids in ids_of(batch)]
    assert [reason == "eos" for reason in batch.finish_reasons] == ends
    assert any(ends)
    assert not all(ends)
    assert all(1 not in ids[:-1] for ids in ids_of(batch))
    assert all("<" not in text for text in batch.texts)
    assert all(len(ids) == 12 for ids, end in zip(ids_of(batch), ends, strict=True) if not end)


def test_padding_token_is_an_ordinary_token(reference):
    batch = draw(reference, Policy(max_new_tokens=12, temperature=2.0))
    assert any(0 in ids[:-1] for ids in ids_of(batch))


def test_every_listed_end_token_ends(folders, tmp_path, tiny_models):
    folder = shutil.copytree(folders / "reference", tmp_path / "model")
    tiny_models.edit_json(folder / "config.json", eos_token_id=[1, 4])
    tiny_models.edit_json(folder / "generation_config.json", eos_token_id=[5])
    batch = draw(load_engine(folder), Policy(max_new_tokens=12, temperature=2.0))
    ended = {
        ids[-1] for ids, reason in zip(ids_of(batch), batch.finish_reasons, strict=True) if reason == "eos"
    }
    assert ended == {1, 4, 5}
    assert all(not {1, 4, 5} & set(ids[:-1]) for ids in ids_of(batch))


def test_generation_defaults_of_the_folder_have_no_effect(folders, tmp_path, tiny_models, reference):
    folder = shutil.copytree(folders / "reference", tmp_path / "model")
    defaults = {"do_sample": True, "top_k": 5, "temperature": 0.1, "top_p": 0.5, "max_new_tokens": 2}
    tiny_models.edit_json(folder / "generation_config.json", repetition_penalty=3.0, **defaults)
    engine = load_engine(folder)
    policy = Policy(max_new_tokens=12)
    assert ids_of(draw(engine, policy)) == ids_of(draw(reference, policy))
    assert engine.identity == reference.identity


def test_stop_strings_end_at_the_token_that_completes_them(reference):
    batch = draw(reference, Policy(max_new_tokens=12, stop=("ad", "cc")))
    stopped = [text for text, why in zip(batch.texts, batch.finish_reasons, strict=True) if why == "stop"]
    assert {text[-2:] for text in stopped} == {"ad", "cc"}
    assert not any(stop in text[:-1] for text in batch.texts for stop in ("ad", "cc"))
    # Stopping is an early end of the same stream, nothing else.
    free = ids_of(draw(reference, Policy(max_new_tokens=12)))
    assert all(one == two[: len(one)] for one, two in zip(ids_of(batch), free, strict=True))


def test_stop_strings_in_the_prompt_do_not_count(reference):
    batch = draw(reference, Policy(max_new_tokens=4, stop=("abc",)))
    assert "length" in batch.finish_reasons


def test_padded_rows_of_the_head_are_never_sampled(build_tiny_model, tmp_path):
    engine = load_engine(build_tiny_model(tmp_path / "padded", seed=1, padded_rows=40))
    assert engine.model.config.vocab_size == 48
    batch = draw(engine, Policy(max_new_tokens=12, temperature=3.0))
    assert max(max(ids) for ids in ids_of(batch)) == 7
    total = sum(np.exp(c.log_prob) for c in enumerate_completions(engine, PROMPT, Policy(max_new_tokens=2)))
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("edge", [0.0, float(np.nextafter(1.0, 0.0))])
def test_extreme_uniforms_pick_possible_tokens(edge):
    probs = torch.tensor(
        [[0, 0.3, 0, 0.7, 0], [0, 0, 1, 0, 0], [1e-300, 0, 1, 0, 1e-320]], dtype=torch.float64
    )
    picked = inverse_transform(probs.log(), torch.full((3,), edge, dtype=torch.float64))
    assert (probs.gather(-1, picked[:, None]) > 0).all()
    assert picked[:2].tolist() == ([1, 2] if edge == 0 else [3, 2])


def test_uniforms_near_one_pick_the_last_possible_token_of_a_wide_law():
    generator = np.random.default_rng(3)
    logits = torch.from_numpy(generator.normal(size=(64, 5000)))
    logits[:, -7:] = -torch.inf
    law = logits.log_softmax(-1)
    picked = inverse_transform(law, torch.full((64,), np.nextafter(1.0, 0.0), dtype=torch.float64))
    assert (law.gather(-1, picked[:, None]) > -torch.inf).all()
    assert (picked >= 4900).all()


def test_sums_that_step_across_impossible_tokens_are_repaired(monkeypatch):
    """A GPU's parallel prefix sum may rise by an ulp over tokens of probability zero."""
    law = torch.tensor([[0.5, 0.0, 0.0, 0.5, 0.0]], dtype=torch.float64).log()
    jagged = torch.tensor([[0.5, 0.5, np.nextafter(0.5, 1), 1.0, 1.0]], dtype=torch.float64)
    monkeypatch.setattr(torch.Tensor, "cumsum", lambda self, dim: jagged)
    assert inverse_transform(law, torch.tensor([0.5], dtype=torch.float64)).tolist() == [3]


def test_running_out_of_memory_halves_the_batch(reference, monkeypatch):
    policy = Policy(max_new_tokens=12)
    expected = ids_of(draw(reference, policy, 0, 50))
    widths, extend = [], CausalModel.extend

    def narrow(self, cache, token_ids):
        widths.append(len(token_ids))
        if len(token_ids) > 9:
            raise torch.OutOfMemoryError("out of memory")
        return extend(self, cache, token_ids)

    monkeypatch.setattr(CausalModel, "extend", narrow)
    assert ids_of(draw(reference, policy, 0, 50)) == expected
    assert max(widths) > 9


def test_what_fits_is_remembered_and_grows_back(reference, monkeypatch):
    """The device holds nine rows for a while, then any number; the draws are the same throughout."""
    policy = Policy(max_new_tokens=4)
    expected = ids_of(draw(reference, policy, 0, 64))
    room, failed, extend = [9], [], CausalModel.extend

    def narrow(self, cache, token_ids):
        if len(token_ids) > room[0]:
            failed.append(len(token_ids))
            raise torch.OutOfMemoryError("out of memory")
        return extend(self, cache, token_ids)

    monkeypatch.setattr(CausalModel, "extend", narrow)
    memory = BatchMemory().size_for("m", 16, 64)

    def remembering(hi):
        rows = uniforms(KEY, 0, hi, policy.max_new_tokens)
        return ids_of(sample_completions(reference, PROMPT, rows, policy, 64, memory=memory))

    assert remembering(30) == expected[:30]
    tries = len(failed)
    assert failed == [30, 15]
    assert remembering(16) == expected[:16]
    assert len(failed) == tries, "it starts with what fitted"
    room[0] = 1000
    for _ in range(16):
        assert remembering(64) == expected
    assert memory.size == 64


def test_other_errors_are_not_taken_for_memory(reference, monkeypatch):
    def broken(self, cache, token_ids):
        raise RuntimeError("CUDA error: device-side assert")

    monkeypatch.setattr(CausalModel, "extend", broken)
    with pytest.raises(RuntimeError, match="device-side"):
        draw(reference, Policy(max_new_tokens=12))


def test_a_row_that_does_not_fit_fails(reference, monkeypatch):
    extend = CausalModel.extend

    def tiny(self, cache, token_ids):
        if cache.get_seq_length():
            raise torch.OutOfMemoryError("out of memory")
        return extend(self, cache, token_ids)

    monkeypatch.setattr(CausalModel, "extend", tiny)
    with pytest.raises(torch.OutOfMemoryError):
        draw(reference, Policy(max_new_tokens=12))


def test_progress_and_abort(reference):
    seen = []
    draw(reference, Policy(max_new_tokens=3), 0, 20, batch_size=8, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 20
    assert len(seen) > 1
    with pytest.raises(EngineAborted):
        draw(reference, Policy(max_new_tokens=3), should_stop=lambda: True)


def test_the_last_token_needs_no_forward(reference, monkeypatch):
    reference.prefixes.clear()
    calls, extend = [], CausalModel.extend
    monkeypatch.setattr(
        CausalModel,
        "extend",
        lambda self, cache, ids: calls.append(tuple(ids.shape)) or extend(self, cache, ids),
    )
    draw(reference, Policy(max_new_tokens=1), 0, 10)
    assert calls == [(1, 3)]


def test_contexts_and_uniforms_are_checked(reference):
    policy = Policy(max_new_tokens=10)
    with pytest.raises(PromptTooLong):
        reference.sample([2] * 55, uniforms(KEY, 0, 1, 10), policy)
    assert len(reference.sample([2] * 54, uniforms(KEY, 0, 1, 10), policy).token_ids) == 1
    for bad in (np.zeros((1, 9)), np.ones((1, 10)), np.full((1, 10), np.nan)):
        with pytest.raises(ValueError, match="uniforms"):
            reference.sample(PROMPT, bad, policy)
    with pytest.raises(ValueError, match="prompt"):
        reference.sample([], uniforms(KEY, 0, 1, 10), policy)
    assert dataclasses.astuple(reference.sample(PROMPT, np.zeros((0, 10)), policy)) == ([], [], [], [])


def test_a_broken_model_is_no_law(folders):
    engine = load_engine(folders / "reference")
    engine.model.model.layers[1].mlp.up_proj.weight.data[:] = float("nan")
    with pytest.raises(NonFiniteLogits):
        draw(engine, Policy(max_new_tokens=3))
