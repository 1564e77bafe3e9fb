"""Demonstrations as a signal through the whole service, against laws that are small enough to enumerate."""

import math
from contextlib import ExitStack

import numpy as np
import pytest
from embedded_stack import EmbeddedStack
from tiny_models import build_tiny_model

from workers.engines.enumeration import enumerate_completions
from workers.engines.loading import load_engine
from workers.engines.policy import Policy

VOCABULARY = "abcd"
PROMPTS = ("ab", "cd", "dac", "b", "ca", "dd", "bc", "a")
SHOWN = ("a", "bd")
NEW_TOKENS = 3
PILOT = 128
LEAST = 19


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown") / "models"
    base = build_tiny_model(folder / "base", seed=3, vocabulary=VOCABULARY)
    build_tiny_model(folder / "tuned", seed=4, vocabulary=VOCABULARY, mixed_with=base)
    return folder


@pytest.fixture(scope="module")
def stack(folder, tmp_path_factory):
    with ExitStack() as ending:
        stack = EmbeddedStack(tmp_path_factory.mktemp("home"), folder)
        ending.callback(stack.stop)
        stack.until(stack.is_ready, "the service is ready")
        yield stack


def request(texts=SHOWN, logprob=None, **changes):
    shown = [{"text": text, **({} if logprob is None else {"logprob": logprob})} for text in texts]
    prompts = [
        {"id": f"p{i}", "prompt": text, **({"demonstrations": shown} if shown else {})}
        for i, text in enumerate(PROMPTS)
    ]
    return {
        "kind": "free_energy",
        "reference": {"source": "model", "model": "base"},
        "candidate": {"source": "model", "model": "tuned"},
        "prompts": {"inline": prompts},
        "signal": {"kind": "demonstrations"},
        "policy": {"max_new_tokens": NEW_TOKENS},
        "budget": {"k_use": 2, "k_probe": 4, "samples_per_prompt": PILOT, "max_samples_per_prompt": PILOT},
        "seed": 7,
        **changes,
    }


@pytest.fixture(scope="module")
def laws(folder):
    """For each prompt both models' laws: the log-probability of every completion, by its token ids."""
    engines = [load_engine(folder / name) for name in ("base", "tuned")]
    policy = Policy(max_new_tokens=NEW_TOKENS)
    found = []
    for prompt in PROMPTS:
        ids = engines[0].tokenizer(prompt)["input_ids"]
        found.append(
            [{c.token_ids: c.log_prob for c in enumerate_completions(e, ids, policy)} for e in engines]
        )
    return found


def ids_of(text):
    """Ids are 0 = <pad>, 1 = <eos>, then the characters."""
    return (*(2 + VOCABULARY.index(letter) for letter in text), 1)


def text_of(ids):
    """Special tokens are left out of a text."""
    return "".join(VOCABULARY[i - 2] for i in ids if i > 1)


@pytest.fixture(scope="module")
def found(stack):
    return stack.findings(stack.submit(request(logprob=math.log(1 / len(SHOWN)))))


def test_every_price_is_that_of_the_enumerated_law(found, laws):
    for row, (p, q) in zip(found.rows, laws, strict=True):
        for text, one in zip(SHOWN, row["demonstrations"], strict=True):
            assert one["tokens"] == len(text) + 1
            assert one["price"]["reference"]["value"] == pytest.approx(-p[ids_of(text)], abs=1e-4)
            assert one["price"]["candidate"]["value"] == pytest.approx(-q[ids_of(text)], abs=1e-4)


def test_typicality_is_a_rank_among_samples_of_that_length(found, laws):
    """By hand from samples.parquet and the enumerated prices."""
    samples = found.samples.to_pylist()
    undefined = 0
    for index, (row, (p, _)) in enumerate(zip(found.rows, laws, strict=True)):
        drawn = [
            tuple(s["token_ids"])
            for s in samples
            if (s["prompt_id"], s["stream"], s["finish_reason"]) == (f"p{index}", "reference", "eos")
        ]
        for text, one in zip(SHOWN, row["demonstrations"], strict=True):
            own = [-p[other] for other in drawn if len(other) == len(text) + 1]
            assert one["typicality"]["n"] == len(own)
            if len(own) < LEAST:
                undefined += 1
                assert one["typicality"]["status"] == "undefined"
                assert "19 are needed" in one["typicality"]["reason"]
                continue
            rank = sum(price >= -p[ids_of(text)] - 1e-3 for price in own)
            assert one["typicality"]["value"] == pytest.approx((1 + rank) / (len(own) + 1))
    assert 0 < undefined < len(PROMPTS) * len(SHOWN)


def test_the_section_is_the_mean_over_prompts(found, laws):
    section = found.document["demonstrations"]
    assert section["count"] == len(SHOWN) * len(PROMPTS)
    prices = np.array([[[-law[ids_of(text)] for text in SHOWN] for law in both] for both in laws])
    mean = prices.mean(axis=(0, 2))
    entropy = section["cross_entropy"]
    assert entropy["reference"]["value"] == pytest.approx(mean[0], abs=1e-4)
    assert entropy["candidate"]["value"] == pytest.approx(mean[1], abs=1e-4)
    assert entropy["change"]["value"] == pytest.approx(mean[1] - mean[0], abs=2e-4)
    assert entropy["change"]["ci_low"] < entropy["change"]["value"] < entropy["change"]["ci_high"]
    tokens = sum(len(text) + 1 for text in SHOWN)
    per_token = section["cross_entropy_per_token"]["reference"]["value"]
    assert per_token == pytest.approx(prices[:, 0].sum(axis=1).mean() / tokens, abs=1e-4)
    # pi_D is uniform on the two: KL(pi_D||p) is the cross-entropy less log 2.
    kl = section["kl_from_teacher"]["candidate"]["value"]
    assert kl == pytest.approx(mean[1] - math.log(len(SHOWN)), abs=1e-4)
    shares = [np.mean(-math.log(len(SHOWN)) + prices[:, 0] >= math.log(n)) for n in (2, 4)]
    assert [at["reference"]["value"] for at in section["coverage"]] == pytest.approx(shares)
    assert section["kl_to_teacher"]["status"] == "undefined"


def test_a_success_is_a_demonstration_word_for_word(found, laws):
    for row, (p, q) in zip(found.rows, laws, strict=True):
        for side, law in (("reference", p), ("candidate", q)):
            chance = math.fsum(math.exp(x) for ids, x in law.items() if text_of(ids) in SHOWN)
            seen = row[side]["success"]
            assert seen["ci_low"] - 0.03 <= chance <= seen["ci_high"] + 0.03
    assert found.document["free_energy"]["kl"]["value"] > 0


def test_the_report_shows_them(stack, found):
    page = stack.client.get(f"/v1/analyses/{found.document['analysis_id']}/report").text
    assert "Demonstrations" in page
    assert "cross-entropy" in page


def test_without_their_probabilities_only_prices_are_told(stack):
    bare = stack.findings(stack.submit(request(texts=("a",)))).document["demonstrations"]
    assert bare["cross_entropy"]["change"]["value"] is not None
    for one in (bare["kl_from_teacher"]["reference"], bare["coverage"][0]["candidate"]):
        assert (one["status"], one["value"]) == ("undefined", None)
        assert "no log-probability" in one["reason"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"texts": ()}, "demonstrations_missing"),
        ({"kind": "capability"}, "kind `free_energy`"),
        ({"policy": {"max_new_tokens": NEW_TOKENS, "top_p": 0.9}}, "leave `policy` at temperature 1"),
        ({"policy": {"max_new_tokens": NEW_TOKENS, "stop": ["d"]}}, "leave `policy` at temperature 1"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(stack, changes, code):
    answer = stack.client.post("/v1/analyses", json=request(**changes))
    assert answer.status_code == 422
    assert code in answer.text


def test_a_demonstration_that_no_sample_could_be_fails_the_analysis(stack):
    ended = stack.ended(stack.submit(request(texts=("aaa",))))
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "demonstration_too_long"
    assert "Raise max_new_tokens" in ended["error"]["detail"]
