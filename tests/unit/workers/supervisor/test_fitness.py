import pytest

from workers.supervisor.fitness import Fitness
from workers.supervisor.run import Ending


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.STALLED, Ending.CRASHED])
def test_three_different_shards_in_a_row(ending):
    fitness = Fitness()
    for shard in ("a", "b", "a", "b"):
        fitness.shard_ended(shard, ending)
        assert fitness.why_unfit is None
    fitness.shard_ended("c", ending)
    assert fitness.why_unfit == "3 different shards failed here in a row"


def test_a_success_in_between_shows_that_shards_are_at_fault():
    fitness = Fitness()
    for shard in "abcdef":
        fitness.shard_ended(shard, Ending.CRASHED)
        fitness.shard_ended("good", Ending.DONE)
    assert fitness.why_unfit is None


def test_stops_and_faults_of_others_say_nothing():
    fitness = Fitness()
    for shard in "abcdef":
        fitness.shard_ended(shard, Ending.STOPPED)
        fitness.shard_ended(shard, Ending.FAILED, blames_shard=False)
    assert fitness.why_unfit is None


def test_engines_that_never_become_ready():
    fitness = Fitness()
    for ready in (False, False, True, False, False):
        fitness.engine_started(ready=ready)
    assert fitness.why_unfit is None
    fitness.engine_started(ready=False)
    assert fitness.why_unfit == "3 engines in a row did not become ready"
