"""Which supervisor of a worker claims what."""

import pytest

from ledger.states import MODEL_WORKS, Work
from workers.supervisor.crew import parted


def test_the_desk_has_all_that_needs_no_model():
    model, desk = parted(Work, desk=True)
    assert model == {"sample", "score"} == MODEL_WORKS
    assert desk == {"plan", "verify", "finalise"}


@pytest.mark.parametrize(
    "works", [{Work.VERIFY}, {Work.SAMPLE, Work.SCORE}, {Work.PLAN, Work.FINALISE}], ids=sorted
)
def test_one_supervisor_is_enough_for_works_of_one_sort(works):
    assert parted(works, desk=True) == parted(works, desk=False) == [works]


def test_all_take_turns_without_a_desk():
    assert parted(Work, desk=False) == [frozenset(Work)]
