import pytest
import tiny_models as _tiny_models
import torch

from workers.engines.loading import load_engine

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_models():
    return _tiny_models


@pytest.fixture(scope="session")
def build_tiny_model(tiny_models):
    return tiny_models.build_tiny_model


@pytest.fixture(scope="session")
def folders(build_tiny_model, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    build_tiny_model(root / "reference", "llama", seed=1)
    build_tiny_model(root / "candidate", "llama", seed=3)
    build_tiny_model(root / "gpt2", "gpt2", seed=2)
    build_tiny_model(root / "gpt2_candidate", "gpt2", seed=5)
    return root


@pytest.fixture(scope="session")
def reference(folders):
    return load_engine(folders / "reference")


@pytest.fixture(scope="session")
def candidate(folders):
    return load_engine(folders / "candidate")


@pytest.fixture(scope="session")
def gpt2(folders):
    return load_engine(folders / "gpt2")


@pytest.fixture(scope="session")
def gpt2_candidate(folders):
    return load_engine(folders / "gpt2_candidate")


@pytest.fixture(scope="session")
def slow_law():
    return _slow_law


def _slow_law(engine, ids, policy):
    """Log-probabilities of the next token by a full forward of the stock model and a loop over tokens."""
    with torch.inference_mode():
        logits = engine.model(torch.tensor([list(ids)])).logits[0, -1, : engine.vocabulary_size]
    return _slow_policy(logits.double().tolist(), policy)


@pytest.fixture(scope="session")
def slow_policy():
    return _slow_policy


def _slow_policy(logits, policy):
    """The four steps of the policy, one token at a time; no ties at the nucleus edge assumed away."""
    scores = [x / policy.temperature for x in logits]
    order = sorted(range(len(scores)), key=lambda v: (-scores[v], v))
    kept = [v for v in order if scores[v] > float("-inf")]
    if policy.min_p > 0:
        kept = [v for v in kept if _exp(scores[v] - scores[order[0]]) >= policy.min_p]
    if policy.top_k > 0:
        floor = scores[order[min(policy.top_k, len(order)) - 1]]
        kept = [v for v in kept if scores[v] >= floor]
    if policy.top_p < 1:
        norm = sum(_exp(scores[v] - scores[order[0]]) for v in kept)
        mass, nucleus = 0.0, []
        for v in kept:
            nucleus.append(v)
            mass += _exp(scores[v] - scores[order[0]]) / norm
            if mass >= policy.top_p:
                break
        kept = nucleus
    norm = sum(_exp(scores[v] - scores[order[0]]) for v in kept)
    inside = set(kept)
    return [
        scores[v] - scores[order[0]] - float(torch.tensor(norm, dtype=torch.float64).log())
        if v in inside
        else float("-inf")
        for v in range(len(scores))
    ]


def _exp(x):
    return float(torch.tensor(x, dtype=torch.float64).exp())
