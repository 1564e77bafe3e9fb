from dataclasses import replace
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
from local_run import request
from scipy.stats import binom

from workers.estimators.counts import clopper_pearson
from workers.pipelines import chance
from workers.pipelines.chance import chance_floors
from workers.pipelines.judge import Judge
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.tables import SAMPLES, together


def samples(*rows):
    """Rows of (stream, prompt, index, text)."""
    table = [
        {
            "prompt_index": p,
            "prompt_id": str(p),
            "stream": s,
            "stream_key": "k",
            "index": i,
            "token_ids": [1],
            "logprobs": [0.0],
            "finish_reason": "eos",
            "text": text,
        }
        for s, p, i, text in rows
    ]
    return together([pa.Table.from_pylist(table, schema=SAMPLES)], SAMPLES)


def spec(*answers, pilot=2, **changes):
    prompts = [{"id": str(i), "prompt": str(i), "answer": a} for i, a in enumerate(answers)]
    return AnalysisSpec.from_request(request(prompts, budget={"samples_per_prompt": pilot}, **changes))


def counts(answers, table, prompts, **changes):
    floors = chance_floors(spec(*answers, **changes), table, prompts, Judge())
    return {prompt: (floor.accepted, floor.judged) for prompt, floor in floors.items()}


def test_the_floor_counts_pilot_samples_of_the_other_prompts_candidate():
    table = samples(
        ("candidate", 0, 0, "7"),  # its own: not counted
        ("candidate", 1, 0, "7"),
        ("candidate", 1, 1, "8"),
        ("candidate", 1, 2, "7"),  # top-up: not counted
        ("candidate", 2, 0, "9"),
        ("candidate", 2, 1, "7"),
        ("reference", 1, 0, "7"),  # the reference: not counted
    )
    assert counts(("7", "8", "9"), table, [0]) == {0: (2, 4)}
    assert counts(("7", "8", "9"), table, [0, 2]) == {0: (2, 4), 2: (0, 3)}


def test_a_demonstration_is_counted_by_its_tokens():
    """Every row of `samples` is an EOS and nothing before it, whatever its text says."""
    prompts = [{"id": str(i), "prompt": str(i), "demonstrations": [{"text": t}]} for i, t in enumerate("789")]
    asked = request(
        prompts,
        kind="free_energy",
        signal={"kind": "demonstrations"},
        budget={"samples_per_prompt": 2},
    )
    by_text = AnalysisSpec.from_request(asked)
    table = samples(("candidate", 1, 0, "7"), ("candidate", 1, 1, "8"), ("candidate", 2, 0, "9"))
    key = replace(by_text.prompts[0].key, demonstration_ids=((),))
    by_ids = replace(by_text, prompts=(replace(by_text.prompts[0], key=key), *by_text.prompts[1:]))
    assert [chance_floors(one, table, [0], Judge())[0].accepted for one in (by_text, by_ids)] == [1, 3]


def test_prompts_with_one_demonstration_are_no_chance_for_each_other():
    prompts = [{"id": str(i), "prompt": str(i), "demonstrations": [{"text": t}]} for i, t in enumerate("778")]
    asked = request(prompts, kind="free_energy", signal={"kind": "demonstrations"})
    table = samples(("candidate", 1, 0, "7"), ("candidate", 2, 0, "8"))
    floor = chance_floors(AnalysisSpec.from_request(asked), table, [0], Judge())[0]
    assert (floor.accepted, floor.judged) == (0, 1)


def test_the_bound_is_the_exact_one_at_half_the_error_level():
    table = samples(*[("candidate", p, i, "8") for p in range(2) for i in range(20)])
    floor = chance_floors(spec("7", "8", pilot=20), table, [0], Judge())[0]
    assert floor.rate == 0.0
    assert (1 - floor.bound) ** 20 == pytest.approx(0.05 / 2)  # no success of 20 has just that chance


def test_a_prompt_that_shares_an_answer_is_right_and_not_lucky():
    rows = [("candidate", p, i, "7") for p in (0, 1, 2) for i in range(2)]
    table = samples(*rows, ("candidate", 3, 0, "9"), ("candidate", 3, 1, "7"))
    assert counts(("7", "7", " 7 ", "9"), table, [0]) == {0: (1, 2)}
    assert counts(("7", "7", "7.0", "9"), table, [0], signal={"kind": "numeric"}) == {0: (1, 2)}
    assert counts(("7", "7", "7", "7"), table, [0]) == {}


def test_a_guesser_among_letters_stays_at_its_rate():
    letters = "ABCD"
    rows = [("candidate", p, i, letters[(p + i) % 4]) for p in range(4) for i in range(4)]
    table = samples(*rows)
    found = counts(tuple(letters), table, [1], signal={"kind": "choice"}, pilot=4)
    assert found == {1: (3, 12)}


def test_a_lone_prompt_has_no_floor():
    assert counts(("7",), samples(("candidate", 0, 0, "7")), [0]) == {}


def test_one_key_for_all_prompts_has_no_floor():
    table = samples(("candidate", 0, 0, "7"), ("candidate", 1, 0, "7"))
    assert counts(("7", "8"), table, [0], signal={"kind": "regex", "pattern": "7"}) == {}


def test_nothing_wanted_is_nothing_done():
    assert counts(("7", "8"), SAMPLES.empty_table(), []) == {}


def test_which_samples_are_judged_does_not_depend_on_the_order_of_prompts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chance, "MAX_TEXTS", 3)
    texts = {"7": "578", "8": "757", "9": "775"}  # by answer, which names the prompt
    found = set()
    for order in permutations(texts):
        prompts = [{"id": answer, "prompt": "x", "answer": answer} for answer in order]
        made = AnalysisSpec.from_request(request(prompts, budget={"samples_per_prompt": 3}))
        rows = [("candidate", p, i, text) for p, a in enumerate(order) for i, text in enumerate(texts[a])]
        floor = chance_floors(made, samples(*rows), [order.index("7")], Judge())[order.index("7")]
        found.add((floor.accepted, floor.judged))
    assert len(found) == 1
    assert found.pop()[1] == 3


def test_the_bound_holds_where_prompts_have_unequal_chances():
    """Exact by enumeration: the bound fails to cover the mean chance at most alpha/2 of the time."""
    chances = [0.0, 0.02, 0.3]
    n = 8  # samples each
    law = np.ones(1)
    for chance_of in chances:
        law = np.convolve(law, binom.pmf(np.arange(n + 1), n, chance_of))
    mean = float(np.mean(chances))
    bounds = np.array([clopper_pearson(c, 3 * n, 0.95)[1] for c in range(3 * n + 1)])
    assert law[bounds < mean].sum() <= 0.025
