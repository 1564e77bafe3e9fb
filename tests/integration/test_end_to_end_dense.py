"""Dense rewards through the whole service, against laws that are small enough to enumerate."""

import json
import math
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from embedded_stack import EmbeddedStack
from exact_dense import DenseLaw
from judging_endpoint import serving
from tiny_models import build_tiny_model
from tiny_reward_model import build_random_judge
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from workers.engines.enumeration import enumerate_completions
from workers.engines.loading import load_engine
from workers.engines.policy import Policy

VOCABULARY = "abcd"
PROMPTS = ("ab", "cd", "dac", "b", "ca", "dd")
BETAS = (0.5, 1.0, 2.0)
NEW_TOKENS = 3
PILOT = 256
SMALL = {"samples_per_prompt": 192, "max_samples_per_prompt": 192}
THRESHOLD = 1.2
PARTS = ("tilt", "drift", "escape")
FAR = 5.0
"""Standard errors: some two hundred figures are compared, and the seed is fixed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reference, a candidate and a reward model."""
    folder = tmp_path_factory.mktemp("dense") / "models"
    base = build_tiny_model(folder / "base", seed=3, vocabulary=VOCABULARY)
    build_tiny_model(folder / "tuned", seed=4, vocabulary=VOCABULARY, mixed_with=base)
    build_random_judge(folder / "judge", VOCABULARY, seed=1)
    return folder


@pytest.fixture(scope="module")
def dense_stack(folder, tmp_path_factory):
    with ExitStack() as ending:
        stack = EmbeddedStack(tmp_path_factory.mktemp("home"), folder, TILTSCOPE_HTTP_SIGNAL_LOOPBACK="1")
        ending.callback(stack.stop)
        stack.until(stack.is_ready, "the service is ready")
        yield stack


def request(kind, signal, **changes):
    return {
        "kind": kind,
        "reference": {"source": "model", "model": "base"},
        "candidate": {"source": "model", "model": "tuned"},
        "prompts": {"inline": [{"id": f"p{i}", "prompt": text} for i, text in enumerate(PROMPTS)]},
        "signal": signal,
        "policy": {"max_new_tokens": NEW_TOKENS},
        "budget": {"k_use": 2, "k_probe": 4, "samples_per_prompt": PILOT, "max_samples_per_prompt": PILOT},
        "inverse_temperatures": list(BETAS),
        "seed": 7,
        **changes,
    }


MODEL_SIGNAL = {"kind": "reward_model", "model": "judge", "success_threshold": THRESHOLD}


@pytest.fixture(scope="module")
def reward_of(folder):
    """The reward model's output, by Transformers alone."""
    model = AutoModelForSequenceClassification.from_pretrained(folder / "judge").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "judge")

    def reward(prompt, completion):
        with torch.inference_mode():
            return float(model(torch.tensor([tokenizer(prompt + completion)["input_ids"]])).logits)

    return reward


@pytest.fixture(scope="module")
def laws(folder):
    """For each prompt both models' laws, and the texts of the completions."""
    engines = [load_engine(folder / name) for name in ("base", "tuned")]
    policy = Policy(max_new_tokens=NEW_TOKENS)
    found = []
    for prompt in PROMPTS:
        ids = engines[0].tokenizer(prompt)["input_ids"]
        p, q = ({c.token_ids: c.log_prob for c in enumerate_completions(e, ids, policy)} for e in engines)
        texts = [engines[0].text(tokens) for tokens in p]
        found.append((np.array(list(p.values())), np.array([q[tokens] for tokens in p]), texts))
    return found


def exact(laws, reward):
    return [
        DenseLaw(log_p, log_q, np.array([reward(prompt, text) for text in texts]))
        for prompt, (log_p, log_q, texts) in zip(PROMPTS, laws, strict=True)
    ]


@pytest.fixture(scope="module")
def truth(laws, reward_of):
    return exact(laws, reward_of)


@pytest.fixture(scope="module")
def found(dense_stack):
    return dense_stack.findings(dense_stack.submit(request("capability", MODEL_SIGNAL)))


def is_near(estimate, value):
    assert estimate["status"] in ("ok", "censored"), estimate
    assert estimate["std_error"] > 0
    assert abs(estimate["value"] - value) < FAR * estimate["std_error"], (estimate, value)


def mean_is_near(estimate, values):
    """A mean over prompts, by the noise of the samples alone."""
    assert abs(estimate["value"] - np.mean(values)) < FAR * estimate["sampling_std_error"], (estimate, values)


def check_prompts(rows, truth, threshold):
    """Every prompt's terms against the exact ones; the classes that were met."""
    labels = []
    for row, law in zip(rows, truth, strict=True):
        label = row["reference"]["class_at_k_probe"]
        labels.append(label)
        is_near(row["kl"], law.kl)
        is_near(row["kl_reverse"], law.reverse_kl)
        terms = [row[part]["value"] for part in PARTS]
        assert math.fsum(terms) == pytest.approx(row["kl"]["value"], abs=1e-9)
        parts = law.parts((law.rewards >= threshold) & (label == "out"))
        assert math.fsum(parts) == pytest.approx(law.kl, abs=1e-9)
        # By their intervals: a tilt of almost nothing is held to zero or more, and is not normal there.
        for part, value in zip(PARTS, parts, strict=True):
            assert row[part]["ci_low"] - 1e-12 <= value <= row[part]["ci_high"] + 1e-12, (row[part], value)
        for at in row["log_partition"]:
            beta = at["inverse_temperature"]
            is_near(at["log_partition"], law.log_partition(beta))
            is_near(at["gap"], law.gap(beta))
            is_near(at["equilibrium"], -law.log_partition(beta) / beta)
            is_near(at["free_energy"], law.kl / beta - law.mean_rewards[1])
    return labels


def check_section(energy, truth, labels, threshold):
    parts = [
        law.parts((law.rewards >= threshold) & (label == "out"))
        for law, label in zip(truth, labels, strict=True)
    ]
    for part, values in zip(PARTS, zip(*parts, strict=True), strict=True):
        if any(values):
            mean_is_near(energy[part], values)
    for side, index in (("reference", 0), ("candidate", 1)):
        mean_is_near(energy["mean_energy"][side], [-law.mean_rewards[index] for law in truth])
    for at in energy["by_inverse_temperature"]:
        mean_is_near(at["log_partition"], [law.log_partition(at["inverse_temperature"]) for law in truth])
    top = energy["by_inverse_temperature"][-1]["inverse_temperature"]
    assert [energy["response"][i]["inverse_temperature"] for i in (0, -1)] == [0.0, top]
    for point in energy["response"]:
        exact_points = [law.response(point["inverse_temperature"]) for law in truth]
        mean_is_near(point["mean_reward"], [mean for mean, _ in exact_points])
        mean_is_near(point["heat_capacity"], [variance for _, variance in exact_points])
    assert all(check["passed"] for check in energy["closure"] if check["blocking"])


def test_a_reward_models_energies_are_those_of_the_enumerated_laws(found, truth):
    labels = check_prompts(found.rows, truth, THRESHOLD)
    assert {"in", "out"} <= set(labels)
    check_section(found.document["free_energy"], truth, labels, THRESHOLD)


def test_the_samples_carry_the_rewards(found, reward_of):
    """Mean energies, log Z and the classes follow from samples.parquet alone."""
    samples = found.samples.to_pylist()
    for index, (row, prompt) in enumerate(zip(found.rows, PROMPTS, strict=True)):
        mine = [s for s in samples if s["prompt_id"] == f"p{index}" and s["stream"] == "reference"]
        rewards = np.array([reward_of(prompt, s["text"]) for s in mine])
        assert rewards == pytest.approx([s["reward"] for s in mine], abs=1e-5)
        assert row["reference"]["successes"] == int((rewards >= THRESHOLD).sum())
        for at in row["log_partition"]:
            by_hand = math.log(np.mean(np.exp(at["inverse_temperature"] * rewards)))
            assert at["log_partition"]["value"] == pytest.approx(by_hand, abs=1e-5)


def letters(prompt, completion):
    """A reward that an endpoint may give: an `a` is worth 1, a `d` costs a half."""
    return completion.count("a") - 0.5 * completion.count("d")


def test_an_endpoints_rewards_have_energies_too(dense_stack, laws):
    def judged(number, body):
        rewards = [{"reward": letters(each["prompt"], each["completion"])} for each in body]
        return 200, {}, json.dumps(rewards).encode()

    # Few see three of an `a`, which carries log Z at large β: its error is no standard error there.
    changes = {"budget": {"k_use": 2, "k_probe": 4, **SMALL}, "inverse_temperatures": [0.25, 0.5, 1.0]}
    with serving(judged) as (url, asked):
        signal = {"kind": "http", "url": url, "success_threshold": 1.0, "batch_size": 32}
        ran = dense_stack.findings(dense_stack.submit(request("free_energy", signal, **changes)))
        assert sum(len(body) for _, body in asked) == 2 * SMALL["samples_per_prompt"] * len(PROMPTS)
    truth = exact(laws, letters)
    labels = check_prompts(ran.rows, truth, 1.0)
    check_section(ran.document["free_energy"], truth, labels, 1.0)
