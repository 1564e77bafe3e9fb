"""Samples that are there already and samples drawn now make the table that one draw would have made."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_run import request
from tiny_models import build_tiny_model

from workers.engines.loading import load_engine
from workers.pipelines.cached import merged, present_samples
from workers.pipelines.sample import sample_items
from workers.pipelines.spec import AnalysisSpec

TEXTS = ["1+1=", "2+2=", "3+3="]
PROMPTS = [{"id": f"p{i}", "prompt": text, "answers": ["2"]} for i, text in enumerate(TEXTS)]
ITEMS = [(0, 2, 6), (2, 0, 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("cached") / "tiny", vocabulary="=+0123456789")


@pytest.fixture(scope="module")
def model(folder):
    return load_engine(folder)


@pytest.fixture(scope="module")
def spec():
    return spec_of(PROMPTS)


def spec_of(prompts, **changes):
    return AnalysisSpec.from_request(request(prompts, **changes))


def draw(spec, model, items, stream="reference"):
    return sample_items(
        spec, stream, items, model, batch_size=4, should_stop=lambda: False, on_progress=lambda _: None
    )


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    before=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(6, 9)),
        max_size=3,
    )
)
def test_whatever_was_drawn_before_the_table_is_the_same(spec, model, before):
    known = present_samples(spec, "reference", ITEMS, model, [draw(spec, model, [item]) for item in before])
    drawn = draw(spec, model, known.missing)
    wanted = {(p, i) for p, low, high in ITEMS for i in range(low, high)}
    there = {(p, i) for p, low, high in before for i in range(low, high)}
    assert known.samples.num_rows == len(wanted & there)
    assert drawn.num_rows == len(wanted - there)
    whole = draw(spec, model, ITEMS)
    names = [name for name in whole.schema.names if name != "logprobs"]  # those carry a batch's rounding
    assert merged(ITEMS, [known.samples, drawn]).select(names).equals(whole.select(names))


def test_a_row_gets_the_place_it_has_here(spec, model):
    """The same prompt under another id and position, in a request of somebody else's making."""
    other = spec_of([{**PROMPTS[2], "id": "other"}])
    known = present_samples(spec, "reference", [(2, 0, 3)], model, [draw(other, model, [(0, 0, 3)])])
    assert known.missing == ()
    assert known.samples["prompt_index"].to_pylist() == [2] * 3
    assert known.samples["prompt_id"].to_pylist() == ["p2"] * 3


def test_only_under_the_very_key(spec, model, folder):
    """Another seed, stream, prompt or precision is another draw, whatever a cache says."""
    others = [
        draw(spec_of(PROMPTS, seed=99), model, ITEMS),
        draw(spec, model, ITEMS, stream="candidate"),
        draw(spec, model, [(1, 0, 6)]),
        draw(spec, load_engine(folder, dtype=torch.bfloat16), ITEMS),
    ]
    known = present_samples(spec, "reference", ITEMS, model, others)
    assert known.samples.num_rows == 0
    assert known.missing == ((0, 2, 6), (2, 0, 3))
