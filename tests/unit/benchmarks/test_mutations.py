"""Each broken rule turns its named test red."""

import pytest

from benchmarks.mutations import EVERY, MUTATIONS, NOTICED, ROOT, Mutation, judge


@pytest.mark.parametrize("mutation", EVERY, ids=lambda mutation: mutation.name)
def test_the_code_to_mutate_is_there(mutation: Mutation) -> None:
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    compile(text.replace(mutation.old, mutation.new), mutation.file, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutations_are_noticed(mutation: Mutation) -> None:
    assert judge(mutation) == NOTICED


@pytest.mark.slow
def test_a_mutation_that_changes_nothing_survives() -> None:
    first = MUTATIONS[0]
    harmless = Mutation("nothing", first.file, first.old, f"{first.old}  # the same", first.test)
    assert judge(harmless) == "NOT noticed"
