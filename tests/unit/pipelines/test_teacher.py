"""A teacher's KL against planted laws, which are known exactly; and what it is where it does not exist."""

import numpy as np
import pytest
from planted import Law, PlantedPrompt, kl_between, law_with, planted_run, random_law

from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRow
from workers.pipelines.plan import scorers

PILOT = 128
SHOWN = ("00", "13", "22")


def worlds(count=10, v=4):
    """Laws of three models that are far from one another, and demonstrations."""
    rng = np.random.default_rng(11)
    return [
        PlantedPrompt(
            f"p{i}", random_law(rng, v), random_law(rng, v), teacher=random_law(rng, v), demonstrations=SHOWN
        )
        for i in range(count)
    ]


def run_of(prompts, **changes):
    budget = {"samples_per_prompt": PILOT, "max_samples_per_prompt": PILOT, **changes.pop("budget", {})}
    return planted_run(prompts, budget=budget, **changes)


def found_of(prompts, *, partial=False, **changes):
    findings = run_of(prompts, **changes).run(partial=partial)
    document = ResultDocument.model_validate(findings.document)
    return document, [PromptRow.model_validate(row) for row in findings.rows]


@pytest.fixture(scope="module")
def prompts():
    return worlds()


@pytest.fixture(scope="module")
def found(prompts):
    return found_of(prompts)


def sides_of(prompt):
    return {"reference": prompt.p, "candidate": prompt.q}


def test_the_kl_to_the_teacher_is_that_of_the_enumerated_laws(prompts, found):
    """Of twenty nominal 95 % intervals at most four may miss: more have a chance below 1 in 100."""
    document, rows = found
    missed = 0
    for row, prompt in zip(rows, prompts, strict=True):
        for side, law in sides_of(prompt).items():
            estimate, exact = getattr(row.kl_to_teacher, side), kl_between(law, prompt.teacher)
            missed += not estimate.ci_low <= exact <= estimate.ci_high
    assert missed <= 4
    for side in ("reference", "candidate"):
        exact = np.mean([kl_between(sides_of(prompt)[side], prompt.teacher) for prompt in prompts])
        for section in (document.demonstrations.kl_to_teacher, document.demonstrations.kl_to_teacher_k1):
            mean = getattr(section, side)
            assert abs(mean.value - exact) < 4 * mean.sampling_std_error
    to = document.demonstrations.kl_to_teacher
    assert to.change.value == pytest.approx(to.candidate.value - to.reference.value)


def test_the_other_direction_is_another_number(prompts, found):
    """The mean over prompts tells KL(q‖π_D) from KL(π_D‖q) by far more than its error."""
    mean = found[0].demonstrations.kl_to_teacher.candidate
    backwards = np.mean([kl_between(prompt.teacher, prompt.q) for prompt in prompts])
    assert abs(mean.value - backwards) > 8 * mean.sampling_std_error


def test_the_demonstrations_are_scored_by_the_teacher(prompts, found):
    document, rows = found
    for row, prompt in zip(rows, prompts, strict=True):
        for text, one in zip(SHOWN, row.demonstrations, strict=True):
            chance = prompt.teacher.joint[int(text[0]), int(text[1])]
            assert one.price.teacher.value == pytest.approx(-np.log(chance))
    cells = tuple(np.array([[int(digit) for digit in text] for text in SHOWN]).T)
    ratios = np.array([np.log(prompt.teacher.joint[cells] / prompt.q.joint[cells]) for prompt in prompts])
    assert document.demonstrations.kl_from_teacher.candidate.value == pytest.approx(ratios.mean())
    first = document.demonstrations.coverage[0]
    assert first.candidate.value == pytest.approx(np.mean(ratios >= np.log(first.n)))


def test_shares_that_no_prompt_shows_are_not_surely_zero(prompts):
    """Ten prompts of ten families: no demonstration is 10^6 times likelier under its law than under a model.

    Clopper and Pearson for 0 of 10: 1 - 0.025^(1/10).
    """
    document, _ = found_of(prompts, budget={"k_use": 1, "k_probe": 1_000_000})
    none, some = document.demonstrations.coverage[1].candidate, document.demonstrations.coverage[0].candidate
    assert (none.value, none.ci_low, none.std_error) == (0.0, 0.0, None)
    assert none.ci_high == pytest.approx(1 - 0.025 ** (1 / 10))
    assert 0.0 < some.ci_low < some.value < some.ci_high < 1.0


def test_the_frame_names_the_teacher(found):
    assert found[0].frame["teacher"]["model"] == "teacher"
    assert found[0].frame["teacher"]["weights_digest"] == "w-teacher"


def test_a_teacher_changes_nothing_else(prompts, found):
    """Its scores stand beside those of the sides, which say what they said without it."""
    alone, _ = found_of([PlantedPrompt(p.id, p.p, p.q, demonstrations=SHOWN) for p in prompts])
    for name in ("kl", "kl_k1", "kl_reverse", "tilt", "drift"):
        assert getattr(found[0].free_energy, name) == getattr(alone.free_energy, name)
    assert found[0].demonstrations.cross_entropy == alone.demonstrations.cross_entropy
    added = {c.check for c in found[0].free_energy.closure} - {c.check for c in alone.free_energy.closure}
    assert added == {"teacher_rao_blackwell_against_k1"}


def test_the_two_estimators_are_checked_against_each_other(prompts, found):
    (check,) = [c for c in found[0].free_energy.closure if c.check == "teacher_rao_blackwell_against_k1"]
    assert check.passed
    # Scores of another law than the one whose full-vocabulary terms were summed.
    wrong = run_of(prompts)
    honest = wrong.score

    def score(samples, scorer):
        table = honest(samples, scorer)
        if scorer != "teacher":
            return table
        place = table.schema.get_field_index("logprob")
        return table.set_column(place, "logprob", table["own_logprob"])

    wrong.score = score
    document = ResultDocument.model_validate(wrong.run().document)
    (check,) = [c for c in document.free_energy.closure if c.check == "teacher_rao_blackwell_against_k1"]
    assert not check.passed


def test_a_candidate_that_is_its_teacher_is_at_the_minimum(prompts):
    same = [PlantedPrompt(p.id, p.p, p.q, teacher=p.q, demonstrations=SHOWN) for p in prompts]
    document, rows = found_of(same)
    assert document.demonstrations.kl_to_teacher.candidate.value == 0.0
    assert document.demonstrations.kl_to_teacher_k1.candidate.value == 0.0
    assert all(row.kl_to_teacher.candidate.ci_high == 0.0 for row in rows)
    assert document.demonstrations.kl_to_teacher.reference.value > 0.1


def undefined(estimate, reason):
    assert (estimate.status, estimate.value) == ("undefined", None)
    assert reason in estimate.reason


def test_without_a_teacher_it_is_undefined_and_says_so(prompts):
    document, rows = found_of([PlantedPrompt(p.id, p.p, p.q, demonstrations=SHOWN) for p in prompts])
    to = document.demonstrations.kl_to_teacher
    for estimate in (to.candidate, to.change, rows[0].kl_to_teacher.reference):
        undefined(estimate, "no `teacher` was named")
    undefined(rows[0].demonstrations[0].price.teacher, "nor was a teacher")
    assert "teacher" not in document.frame


def test_across_tokenizers_nothing_is_scored(prompts):
    changes = {"run": {"teachers_tokenizer": "other"}}
    run = run_of(prompts, **changes)
    assert all("teacher" not in names for names in scorers(run.spec, run.participants).values())
    document, rows = found_of(prompts, **changes)
    undefined(document.demonstrations.kl_to_teacher.candidate, "another tokenizer")
    undefined(document.demonstrations.kl_from_teacher.candidate, "another tokenizer")
    undefined(rows[0].demonstrations[0].price.teacher, "another tokenizer")


def test_a_teacher_that_excludes_what_was_drawn_has_no_kl(prompts):
    """The teacher never writes a first 0, which both sides do."""
    second = np.full((4, 4), 1 / 4)
    narrow = Law(np.array([0.0, 0.5, 0.25, 0.25]), second)
    document, rows = found_of(
        [PlantedPrompt(p.id, p.p, p.q, teacher=narrow, demonstrations=("13",)) for p in prompts]
    )
    undefined(document.demonstrations.kl_to_teacher.candidate, "truncated support: the teacher")
    undefined(rows[0].kl_to_teacher.reference, "truncated support: the teacher")
    assert rows[0].demonstrations[0].price.teacher.value == pytest.approx(np.log(8))


def test_an_analysis_that_ended_early_has_it_where_all_was_scored(prompts):
    """The teacher's shards of the second halves of the candidate's later pilots were given up."""

    def fails(number, shard):
        late = any(prompt >= 4 and high > PILOT // 2 for prompt, _, high in shard.items)
        return late and (shard.work, shard.stream, shard.scorer) == ("score", "candidate", "teacher")

    halves = {"shard_tokens": PILOT // 2 * 8}
    document, rows = found_of(prompts, partial=True, run={"fails": fails, **halves})
    defined = [row.kl_to_teacher.candidate.value is not None for row in rows]
    assert defined == [True] * 4 + [False] * 6
    undefined(rows[-1].kl_to_teacher.candidate, "ended early")
    assert all(row.kl_to_teacher.reference.value is not None for row in rows)
    mean = document.demonstrations.kl_to_teacher.candidate
    assert (mean.status, mean.n) == ("unreliable", 4)
    assert document.free_energy.kl.n == 10


def test_the_laws_are_the_ones_that_are_told_apart():
    """A planted teacher that favours one text: KL(q‖π_D) of a uniform q by hand, log(1/v²) - E log π_D."""
    uniform, peaked = Law(np.full(4, 1 / 4), np.full((4, 4), 1 / 4)), law_with({"00": 0.7}, 4)
    prompt = PlantedPrompt("p", uniform, uniform, teacher=peaked, demonstrations=("00",))
    exact = -np.log(16) - (np.log(0.7) + 15 * np.log(0.3 / 15)) / 16
    _, (row,) = found_of([prompt])
    assert row.kl_to_teacher.candidate.ci_low <= exact <= row.kl_to_teacher.candidate.ci_high
