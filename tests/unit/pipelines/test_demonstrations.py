"""Demonstrations as token ids: what follows the rendered prompt's own ids, and ends."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.pipelines.committed import Committed
from workers.pipelines.demonstrations import demonstration_ids, judged_as_scored, judged_by_ids
from workers.pipelines.demonstrations_section import demonstration_rows, read_demonstrations
from workers.pipelines.spec import Demonstrated, prompt_specs
from workers.pipelines.tables import OUTCOMES, SAMPLES, SCORES


def model_of(merges=(), eos_ids=(1,)):
    """Letters, and pairs that merge across whatever boundary there is."""
    letters = ["<pad>", "<eos>", *"abcd", *("".join(pair) for pair in merges)]
    bpe = models.BPE({letter: i for i, letter in enumerate(letters)}, list(merges))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(bpe), pad_token="<pad>", eos_token="<eos>")
    return SimpleNamespace(tokenizer=tokenizer, eos_ids=frozenset(eos_ids))


def prompt(text="ab"):
    made = {"id": "p", "prompt": text, "messages": None, "answer": None, "answers": None, "choices": None}
    (one,) = prompt_specs([{**made, "tests": None, "family": None, "split": None, "metadata": None}])
    return one


def test_ids_follow_the_prompt_and_end_with_eos():
    assert demonstration_ids(model_of(), prompt(), "cd") == [4, 5, 1]


def test_a_merge_inside_the_text_is_kept():
    assert demonstration_ids(model_of([("c", "d")]), prompt(), "cd") == [6, 1]


def test_a_merge_across_the_boundary_leaves_the_prompt_as_it_was_sampled_from():
    """ "ab" + "cd" is a, bc, d to the tokenizer, but samples follow the ids of "ab"."""
    model = model_of([("b", "c")])
    assert model.tokenizer("abcd")["input_ids"] == [2, 6, 5]
    assert demonstration_ids(model, prompt(), "cd") == [4, 5, 1]


@pytest.mark.parametrize(("eos_ids", "last"), [((1, 5), 1), ((5, 4), 4)])
def test_the_tokenizers_eos_ends_it_where_the_model_ends_at_that(eos_ids, last):
    assert demonstration_ids(model_of(eos_ids=eos_ids), prompt(), "c")[-1] == last


def analysis(*prompts):
    return SimpleAnalysis(tuple(prompts))


@dataclasses.dataclass(frozen=True)
class SimpleAnalysis:
    prompts: tuple


def with_texts(index, *texts):
    plain = prompt()
    key = dataclasses.replace(plain.key, demonstrations=texts)
    shown = tuple(Demonstrated(text, None) for text in texts)
    return dataclasses.replace(plain, index=index, key=key, demonstrations=shown)


def test_a_judge_knows_the_ids_that_the_models_tokenizer_writes():
    """Merged by one tokenizer and not by another; the end is not compared."""
    spec = analysis(with_texts(0, "cd", "a"), with_texts(1, "c"))
    for merges, ids in (([("c", "d")], ((6,), (2,))), ([], ((4, 5), (2,)))):
        found = judged_by_ids(spec, model_of(merges).tokenizer, [0])
        assert [one.key.demonstration_ids for one in found.prompts] == [ids, None]


def test_a_judge_at_the_end_knows_what_the_reference_scored():
    spec = analysis(with_texts(0, "cd", "a"), with_texts(1, "c", "d"))
    rows = [(0, 0, [4, 5, 1]), (0, 1, [2, 1]), (1, 1, [5, 1])]
    columns = {name: [None] * 3 for name in SAMPLES.names} | {"stream": ["demonstrations"] * 3}
    for place, name in enumerate(("prompt_index", "index", "token_ids")):
        columns[name] = [row[place] for row in rows]
    found = judged_as_scored(spec, pa.table(columns, schema=SAMPLES))
    # Of the second prompt one text was not read: it keeps its texts.
    assert [one.key.demonstration_ids for one in found.prompts] == [((4, 5), (2,)), None]


def scored_table(log_q, indices):
    rows = {name: [None] * len(log_q) for name in SCORES.names}
    rows |= {"prompt_index": [0] * len(log_q), "stream": ["demonstrations"] * len(log_q)}
    rows |= {"scorer": ["candidate"] * len(log_q), "index": list(indices), "logprob": list(log_q)}
    return pa.table(rows, schema=SCORES)


def samples_table(rows, cut=frozenset()):
    columns = {name: [None] * len(rows) for name in SAMPLES.names}
    columns |= {"prompt_index": [0] * len(rows), "stream": [s for s, _, _ in rows]}
    columns |= {"index": [i for _, i, _ in rows], "logprobs": [lp for _, _, lp in rows]}
    reasons = ["length" if (s, i) in cut else "eos" for s, i, _ in rows]
    return pa.table(columns | {"finish_reason": reasons}, schema=SAMPLES)


def read(shown, samples, scores):
    """The demonstrations of the one prompt of an analysis without a teacher."""
    sizes = {"reference": 20, "candidate": 20}
    spec = SimpleNamespace(prompts=[shown], is_taught=False, seed=0, pilot=lambda side, _: sizes[side])
    weights = BootstrapWeights(np.random.default_rng(0))
    committed = Committed(samples, OUTCOMES.empty_table(), scores, {})
    (found,) = read_demonstrations(spec, committed, [0], weights, missing="no teacher")
    return found


def test_an_analysis_that_ended_early_tells_what_it_read():
    """The second of three demonstrations alone, not scored by the candidate: named by its own number."""
    shown = dataclasses.replace(prompt(), demonstrations=tuple(Demonstrated(t, -1.0) for t in "abc"))
    own = [("reference", i, [-1.0 - i, -1.0]) for i in range(20)]
    samples = samples_table([("demonstrations", 1, [-2.5, -0.5]), *own])
    found = read(shown, samples, scored_table([], []))
    (row,) = demonstration_rows(found)["demonstrations"]
    assert (row["index"], row["tokens"], row["price"]["reference"]["value"]) == (1, 2, 3.0)
    assert row["price"]["candidate"]["reason"].endswith("ended early")
    # Own prices are 2, 3, 4, ..., 21: nineteen of twenty are 3 or more.
    assert row["typicality"]["value"] == pytest.approx(20 / 21)
    found = read(shown, samples, scored_table([-4.0], [1]))
    (row,) = demonstration_rows(found)["demonstrations"]
    assert row["price"]["candidate"]["value"] == 4.0
    assert row["price"]["teacher"]["value"] == 1.0  # as its `logprob` says


def test_a_sample_that_was_cut_off_is_no_measure_of_a_finished_text():
    """Its price is that of a beginning: of twenty-five own samples of the same length five were cut."""
    shown = dataclasses.replace(prompt(), demonstrations=(Demonstrated("a", -1.0),))
    own = [("reference", i, [-1.0 - i, -1.0]) for i in range(25)]
    samples = samples_table([("demonstrations", 0, [-2.5, -0.5]), *own], {("reference", i) for i in range(5)})
    found = read(shown, samples, scored_table([], []))
    (typicality,) = found.typicality
    assert (typicality.n, typicality.value) == (20, 1.0)
