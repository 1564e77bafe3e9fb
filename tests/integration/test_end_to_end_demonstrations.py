"""Demonstrations as a signal through the whole service, against laws that are small enough to enumerate."""

import html
import math
from contextlib import ExitStack

import numpy as np
import pytest
from embedded_stack import EmbeddedStack
from tiny_models import build_tiny_adapter, build_tiny_model

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
    build_tiny_model(folder / "teacher", seed=5, vocabulary=VOCABULARY, mixed_with=folder / "tuned")
    build_tiny_adapter(folder / "adapter", base, seed=6)
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
def all_laws(folder):
    """For each prompt three models' laws: the log-probability of every completion, by its token ids."""
    engines = [load_engine(folder / name) for name in ("base", "tuned", "teacher")]
    policy = Policy(max_new_tokens=NEW_TOKENS)
    found = []
    for prompt in PROMPTS:
        ids = engines[0].tokenizer(prompt)["input_ids"]
        found.append(
            [{c.token_ids: c.log_prob for c in enumerate_completions(e, ids, policy)} for e in engines]
        )
    return found


@pytest.fixture(scope="module")
def laws(all_laws):
    """Those of the two sides."""
    return [three[:2] for three in all_laws]


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
    for one in section["kl_to_teacher"].values():
        assert (one["status"], "no `teacher` was named" in one["reason"]) == ("undefined", True)


def test_a_success_is_a_demonstration_token_by_token(found, laws):
    """Its chance is the sum of the prices' own; a text leaves out the <pad> that these models write too."""
    for place, side in enumerate(("reference", "candidate")):
        seen = found.document["support"][side]["success"]
        by_ids, by_text = (
            np.mean(
                [math.fsum(math.exp(x) for ids, x in both[place].items() if counts(ids)) for both in laws]
            )
            for counts in (
                lambda ids: ids in {ids_of(text) for text in SHOWN},
                lambda ids: text_of(ids) in SHOWN,
            )
        )
        assert abs(seen["value"] - by_ids) < 4 * seen["sampling_std_error"]
        assert abs(seen["value"] - by_text) > 4 * seen["sampling_std_error"]
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


def kl_between(one, other):
    """KL(one||other) of enumerated laws, nats."""
    return math.fsum(math.exp(x) * (x - other[ids]) for ids, x in one.items())


@pytest.fixture(scope="module")
def taught(stack):
    body = request(teacher={"source": "model", "model": "teacher"})
    analysis = stack.submit(body)
    return stack.findings(analysis), stack.ended(analysis)


def test_the_kl_to_the_teacher_covers_that_of_the_enumerated_laws(taught, all_laws):
    """Sixteen nominal 95 % intervals: four misses or more have a chance below 1 in 100."""
    found, _ = taught
    section, missed = found.document["demonstrations"], 0
    for place, side in enumerate(("reference", "candidate")):
        exact = [kl_between(three[place], three[2]) for three in all_laws]
        for row, value in zip(found.rows, exact, strict=True):
            one = row["kl_to_teacher"][side]
            missed += not one["ci_low"] <= value <= one["ci_high"]
        for name in ("kl_to_teacher", "kl_to_teacher_k1"):
            mean = section[name][side]
            assert abs(mean["value"] - np.mean(exact)) < 4 * mean["sampling_std_error"]
    assert missed <= 3
    # The direction, told apart: the teacher's own samples would have given another number.
    mean = section["kl_to_teacher"]["candidate"]
    backwards = np.mean([kl_between(pi, q) for _, q, pi in all_laws])
    assert abs(mean["value"] - backwards) > 4 * mean["sampling_std_error"]
    change = section["kl_to_teacher"]["change"]
    exact = np.mean([kl_between(q, pi) - kl_between(p, pi) for p, q, pi in all_laws])
    assert abs(change["value"] - exact) < 4 * change["sampling_std_error"]


def test_the_teacher_prices_the_demonstrations(taught, all_laws):
    found, _ = taught
    for row, (_, _, pi) in zip(found.rows, all_laws, strict=True):
        for text, one in zip(SHOWN, row["demonstrations"], strict=True):
            assert one["price"]["teacher"]["value"] == pytest.approx(-pi[ids_of(text)], abs=1e-4)
    ratios = [pi[ids_of(text)] - q[ids_of(text)] for _, q, pi in all_laws for text in SHOWN]
    section = found.document["demonstrations"]
    assert section["kl_from_teacher"]["candidate"]["value"] == pytest.approx(np.mean(ratios), abs=1e-4)


def test_the_teacher_is_named_and_its_reading_is_counted(stack, taught):
    """Both pilots are read twice, by the other side and the teacher, and demonstrations by all three."""
    found, ended = taught
    frame, registry = found.document["frame"]["teacher"], stack.get("/v1/models/teacher")
    assert (frame["model"], frame["weights_digest"]) == ("teacher", registry["weights_digest"])
    lengths = {"reference": 0, "candidate": 0, "demonstrations": 0}
    for row in found.samples.select(["stream", "token_ids"]).to_pylist():
        lengths[row["stream"]] += len(row["token_ids"])
    read = 2 * lengths["reference"] + 2 * lengths["candidate"] + 3 * lengths["demonstrations"]
    assert ended["usage"]["scored_tokens"] == read
    plan = stack.client.post("/v1/analyses?validate_only=true", json=ended["spec"]).json()
    assert read <= plan["scored_tokens"]["pilot"]
    page = stack.client.get(f"/v1/analyses/{ended['id']}/report").text
    assert "and the teacher, teacher," in page
    assert "KL to the demonstrations' law" in html.unescape(page)


def test_a_candidate_that_is_its_own_teacher_is_at_the_minimum(stack):
    same = stack.findings(stack.submit(request(teacher={"model": "tuned"})))
    to = same.document["demonstrations"]["kl_to_teacher"]
    assert (to["candidate"]["value"], to["candidate"]["ci_high"]) == (0.0, 0.0)
    # KL(p||q) along the reference's samples, as the free energy has it.
    reverse = same.document["free_energy"]["kl_reverse"]["value"]
    assert to["reference"]["value"] == pytest.approx(reverse, rel=1e-6)


def test_an_adapter_can_teach_and_an_extension_goes_on(stack):
    """What the larger pilot lacks is read by the teacher too."""
    few = {"k_use": 2, "k_probe": 4, "samples_per_prompt": 16, "max_samples_per_prompt": 16}
    analysis = stack.submit(request(teacher={"model": "adapter"}, budget=few))
    first = stack.findings(analysis).document
    assert first["frame"]["teacher"]["adapter_digest"] is not None
    more = {"budget": {"samples_per_prompt": 64, "max_samples_per_prompt": 64}}
    assert stack.client.post(f"/v1/analyses/{analysis}/extend", json=more).status_code == 202
    again = stack.findings(analysis)
    assert [row["kl_to_teacher"]["candidate"]["n"] for row in again.rows] == [64] * len(PROMPTS)
    before, after = (one["demonstrations"]["kl_to_teacher"]["candidate"] for one in (first, again.document))
    assert after["sampling_std_error"] < before["sampling_std_error"]
