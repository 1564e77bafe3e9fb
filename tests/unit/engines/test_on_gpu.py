"""The engine on a GPU, against itself on a CPU; these tests run where there is one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from workers.engines import grid_decoding
from workers.engines.adapter_folder import checked_adapter
from workers.engines.adapters import attach_adapter
from workers.engines.causal_model import ModelIdentity
from workers.engines.decoding import Wanted, sample_prompts
from workers.engines.digests import adapter_digest
from workers.engines.errors import EngineAborted, NonFiniteLogits
from workers.engines.kernels import Kernel
from workers.engines.known_answer import known_answer
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.recorded_step import RecordedStep
from workers.engines.scoring import score_pair

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

MODELS = Path(__file__).parents[3] / "examples" / "models"
PROMPTS = ([5, 6, 7, 8], [9, 3, 4], [2, 3, 4, 5, 6, 7, 8, 9, 10], [7, 7])
COUNTS = (300, 17, 64, 1)
LENGTH = 40


@pytest.fixture(scope="module")
def folder(build_tiny_model, tmp_path_factory):
    """600 tokens: enough for laws that are drawn from in blocks."""
    root = tmp_path_factory.mktemp("gpu")
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 598)))
    for name, seed in (("one", 1), ("two", 2)):
        build_tiny_model(root / name, seed=seed, vocabulary=characters, context_length=512)
    return root


@pytest.fixture(scope="module")
def engines(folder):
    """On both devices, in float32."""
    return [load_engine(folder / "one", device=name, dtype=torch.float32) for name in ("cpu", "cuda")]


@pytest.fixture(scope="module")
def half(folder):
    return load_engine(folder / "one", device="cuda")


def wanted(length=LENGTH):
    rng = np.random.default_rng(4)
    return [Wanted(ids, rng.random((n, length))) for ids, n in zip(PROMPTS, COUNTS, strict=True)]


def drawn(engine, policy, size=256, ends=False, **kwargs):
    engine.prefixes.clear()
    kept, engine.eos_ids = engine.eos_ids, frozenset(range(40) if ends else ())
    try:
        return sample_prompts(engine, wanted(policy.max_new_tokens), policy, size, **kwargs)
    finally:
        engine.eos_ids = kept


def rows(batches):
    return [ids.tolist() for batch in batches for ids in batch.token_ids]


def logprobs(batches):
    return np.concatenate([row for batch in batches for row in batch.logprobs])


def test_the_device_computes_as_it_should():
    assert known_answer("cuda") is None


@pytest.mark.parametrize(
    "policy",
    [
        Policy(max_new_tokens=LENGTH),
        Policy(max_new_tokens=LENGTH, temperature=0.7, top_k=5),
        Policy(max_new_tokens=LENGTH, top_p=0.9),
        Policy(max_new_tokens=LENGTH, min_p=0.05),
    ],
    ids=["plain", "top-k", "top-p", "min-p"],
)
@pytest.mark.parametrize("ends", [False, True], ids=["endless", "ending"])
def test_both_devices_draw_the_same(engines, policy, ends):
    cpu, gpu = (drawn(engine, policy, ends=ends) for engine in engines)
    same = [a == b for a, b in zip(rows(cpu), rows(gpu), strict=True)]
    # A uniform within rounding of a boundary, at one of some fifteen thousand tokens.
    assert np.mean(same) > 0.99
    if all(same):
        # Where a token enters or leaves a truncated law by rounding, that law differs.
        assert np.quantile(np.abs(logprobs(gpu) - logprobs(cpu)), 0.999) < 1e-4


def test_replayed_steps_draw_what_single_operations_draw(engines, monkeypatch):
    gpu, launches = engines[1], []
    launch = RecordedStep.launch
    monkeypatch.setattr(RecordedStep, "launch", lambda self: launches.append(1) or launch(self))
    replayed = drawn(gpu, Policy(max_new_tokens=300))
    assert len(launches) > 200
    monkeypatch.setattr(gpu, "records_steps", False)
    monkeypatch.setattr(Kernel, "enabled", False)
    count = len(launches)
    single = drawn(gpu, Policy(max_new_tokens=300))
    assert len(launches) == count
    same = [a == b for a, b in zip(rows(replayed), rows(single), strict=True)]
    assert np.mean(same) > 0.99


def test_a_step_that_cannot_be_recorded_is_run_as_it_is(engines, monkeypatch):
    def refuse(self):
        torch.cuda.synchronize()
        raise RuntimeError("operation not permitted when stream is capturing")

    gpu = engines[1]
    want = rows(drawn(gpu, Policy(max_new_tokens=LENGTH)))
    monkeypatch.setattr(RecordedStep, "_advance", refuse)
    try:
        got = rows(drawn(gpu, Policy(max_new_tokens=LENGTH)))
        assert not gpu.records_steps
    finally:
        gpu.records_steps = True
    assert np.mean([a == b for a, b in zip(got, want, strict=True)]) > 0.99


def test_a_replayed_step_does_not_hide_numbers_that_are_none(folder):
    engine = load_engine(folder / "one", device="cuda")
    asked = []

    def spoil():
        asked.append(1)
        if len(asked) == 20:  # while steps are replayed
            engine.head[3, 0] = float("nan")
        return False

    with pytest.raises(NonFiniteLogits):
        drawn(engine, Policy(max_new_tokens=LENGTH), should_stop=spoil)
    assert len(asked) > 18


def test_replaying_stops_when_asked(half):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 15

    with pytest.raises(EngineAborted):
        drawn(half, Policy(max_new_tokens=LENGTH), should_stop=stop)


def test_half_precision_is_scored_as_it_was_drawn(half):
    assert half.dtype == torch.bfloat16
    policy = Policy(max_new_tokens=LENGTH)
    batch = drawn(half, policy)[0]
    found = score_pair(half, half, PROMPTS[0], batch.token_ids, policy, batch.logprobs)
    assert np.median(found.max_token_diff) < 0.05
    assert not found.kl.any()


def test_the_head_sums_in_float32(half):
    hidden = half.read(PROMPTS[0]).hidden
    weight = half.model.get_output_embeddings().weight
    want = hidden.double() @ weight.double().t()
    got = half.scores(hidden)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), want[:, : got.shape[-1]], rtol=0, atol=2e-5)


def test_both_devices_score_the_same(engines, folder):
    policy = Policy(max_new_tokens=LENGTH)
    batch = drawn(engines[0], policy)[0]
    others = [load_engine(folder / "two", device=device, dtype=torch.float32) for device in ("cpu", "cuda")]
    cpu, gpu = (
        score_pair(one, two, PROMPTS[0], batch.token_ids, policy, batch.logprobs)
        for one, two in zip(engines, others, strict=True)
    )
    for name in ("logprob", "own_logprob", "kl", "entropy"):
        np.testing.assert_allclose(getattr(gpu, name), getattr(cpu, name), rtol=1e-4, atol=2e-3)


def test_an_adapter_acts_and_leaves_its_base_alone():
    gpu = load_engine(MODELS / "tiny-base", device="cuda", dtype=torch.float32)
    policy = Policy(max_new_tokens=16)
    before = rows(drawn(gpu, policy))
    folder = MODELS / "tiny-lora"
    identity = ModelIdentity(
        gpu.identity.weights_digest, gpu.identity.tokenizer_digest, adapter_digest(folder)
    )
    found = checked_adapter(folder, base_tokenizer=gpu.identity.tokenizer_digest)
    adapted = attach_adapter(gpu, found, identity)
    with_adapter = rows(drawn(adapted, policy))
    assert with_adapter != before
    assert rows(drawn(gpu, policy)) == before


def test_memory_that_runs_out_halves_the_batch(engines, monkeypatch):
    gpu, seen = engines[1], []
    gathered = grid_decoding.gathered

    def scarce(heads, each, *args, **kwargs):
        seen.append(len(heads) * each)
        if len(heads) * each > 100:
            raise torch.OutOfMemoryError("out of memory")
        return gathered(heads, each, *args, **kwargs)

    monkeypatch.setattr(grid_decoding, "gathered", scarce)
    few = rows(drawn(gpu, Policy(max_new_tokens=LENGTH)))
    monkeypatch.undo()
    many = rows(drawn(gpu, Policy(max_new_tokens=LENGTH)))
    assert max(seen) > 100
    assert np.mean([a == b for a, b in zip(few, many, strict=True)]) > 0.99
