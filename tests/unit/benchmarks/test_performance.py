"""The harness: answers before clocks, quiet blocks only, outcomes that survive, misses that stay visible."""

import math
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from benchmarks.calibration.frames import spec_of
from benchmarks.performance import __main__ as command_line
from benchmarks.performance import catalogue, publish, validity
from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.machine import Usage, peak_memory
from benchmarks.performance.outcome import Check, Curve, Outcome
from benchmarks.performance.planted import analysed, spread_world
from benchmarks.performance.session import MOST_FOREIGN, PATIENCE, CheckFailed, Session, figure
from benchmarks.performance.store import Store
from workers.estimators.counts import epsilon
from workers.pipelines.assessment import assess_reference


def session_in(folder: Path) -> Session:
    return Session("made_up", quick=False, scratch=folder, report=lambda line: None)


class Clock:
    """Time that passes only when work is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def work(self, seconds: float) -> Callable[[], float]:
        def run() -> float:
            self.now += seconds
            return 10.0

        return run

    def usage(self, foreign: Iterator[float], cores: int) -> Callable[[], Usage]:
        """Readings of a machine on which others take the given share between every second pair."""
        others, own, numbers = 0.0, 0.0, count()
        last = self.now

        def read() -> Usage:
            nonlocal others, own, last
            if next(numbers) % 2:
                passed = self.now - last
                own += passed
                others += next(foreign) * passed * cores
            last = self.now
            return Usage(self.now, own + others, 0.0, own)

        return read


def test_nothing_is_timed_before_an_answer_was_checked(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    with pytest.raises(CheckFailed):
        session.compare("speed", lambda: 1.0, lambda: 1.0)
    with pytest.raises(CheckFailed, match="tokens"):
        session.check("tokens", passed=False, detail="3 differ")
    assert not Outcome(figures=(), checks=tuple(session.checks)).valid
    assert not Outcome(figures=()).valid


def test_blocks_interleave_and_busy_ones_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    session, clock = session_in(tmp_path), Clock()
    session.check("same", passed=True, detail="equal")
    busy = iter([0.0, 0.2, 0.04, 0.0, 0.0])
    found = session.compare(
        "speed",
        clock.work(1.0),
        clock.work(3.0),
        blocks=4,
        usage=clock.usage(busy, 2),
        clock=lambda: clock.now,
    )
    assert found.ratios == pytest.approx([3.0] * 4)
    assert found.ours == pytest.approx([10.0] * 4)
    (blocks,) = session.blocks
    assert (blocks.kept, blocks.dropped, blocks.noisy) == (4, 1, False)
    assert blocks.foreign == pytest.approx(0.04)


def test_a_machine_that_is_never_quiet_makes_a_noisy_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    session, clock = session_in(tmp_path), Clock()
    session.check("same", passed=True, detail="equal")
    usage = clock.usage(iter([2 * MOST_FOREIGN] * 12), 2)
    found = session.compare(
        "speed", clock.work(1.0), clock.work(1.0), blocks=4, usage=usage, clock=lambda: clock.now
    )
    (blocks,) = session.blocks
    assert blocks.noisy
    assert len(found.ratios) == 4 * PATIENCE


def test_usage_of_the_machine_is_split_into_own_and_foreign() -> None:
    before = Usage.now()
    total = sum(number * number for number in range(400_000))
    spent = Usage.now().since(before)
    assert total > 0
    assert spent.own > 0
    assert 0.0 <= spent.foreign <= 1.01


def test_the_peak_counts_what_was_freed_again() -> None:
    assert peak_memory(lambda: len(bytearray(32 << 20))) > 24 << 20


def test_an_outcome_survives_and_the_page_shows_what_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_in(tmp_path)
    session.check("same answers", passed=True, detail="7 of 7")
    fast = figure("tokens", [40.0, 50.0, 60.0], "seeds", at_least=30)
    slow = figure("overhead", [0.02], "runs", at_most=0.01, unit="share", holds_back="start-up is half of it")
    lines = {"ours": [[1.0, 2.0], [2.0, 3.0]]}
    curve = Curve("Cost by prompts", "prompts", "tokens", lines)
    outcome = Outcome(
        figures=(fast, slow),
        checks=tuple(session.checks),
        curves=(curve,),
        about={
            "date": "2026-01-01",
            "commit": "0a1b2c3 with changes",
            "seed": 7,
            "seconds": 1.0,
            "machine": dict.fromkeys(("cores", "processor", "memory_gib", "threads", "python", "torch"), 1),
        },
    )
    assert (fast.met, slow.met) == (True, False)
    assert (fast.value, fast.low, fast.high, fast.n) == (50.0, 40.0, 60.0, 3)
    work = Store(tmp_path / "work")
    work.save("made_up", outcome)
    assert work.read("made_up") == outcome
    monkeypatch.setattr(publish, "NAMES", ("made_up",))
    monkeypatch.setattr(publish, "load", lambda name: Benchmark("Speed", "nothing", lambda s: outcome))
    page = tmp_path / "docs" / "performance.md"
    missed = publish.publish(work, page)
    assert missed == ["made_up: overhead is 0.02, aimed at ≤ 0.01"]
    text = page.read_text("utf-8")
    assert "start-up is half of it" in text
    assert "no ratio below counts" in text  # no gate was run
    assert "| made_up | 2026-01-01 | 0a1b2c3 with changes | 7 | 1 |" in text
    assert "Assembled" not in text
    assert (page.parent / "performance" / "made_up-cost-by-prompts.png").exists()
    assert Store(page.parent / "performance").read("made_up") == outcome
    # One that was not run anew keeps what is published, and the page says that it is of another commit.
    elsewhere = Store(tmp_path / "elsewhere")
    assert publish.publish(elsewhere, page) == missed
    del outcome.about["commit"]
    elsewhere.save("younger", outcome)
    monkeypatch.setattr(publish, "NAMES", ("made_up", "younger"))
    publish.publish(elsewhere, page)
    text = page.read_text("utf-8")
    assert "Assembled from runs on 2 states of the code" in text
    assert "| younger | 2026-01-01 | not recorded | 7 | 1 |" in text


def test_every_name_of_the_catalogue_is_a_benchmark() -> None:
    for name in catalogue.NAMES:
        assert catalogue.load(name).title


def test_the_gate_has_every_law_that_its_analyses_may_draw_from(tmp_path: Path) -> None:
    session = Session("validity", quick=True, scratch=tmp_path, report=lambda line: None)
    found = {one.name: one.value for one in validity.run(session).figures}
    assert found["guaranteed, truncated support, adaptive"] >= 0.9
    assert found["false `out`, mode drop"] == 0


def test_a_claim_of_creation_costs_little_more_than_the_fixed_plan(tmp_path: Path) -> None:
    """Nothing is drawn beyond what certifies: at most 1.3 times the fixed plan of one prompt."""
    spec, rng = spec_of(4), session_in(tmp_path).rng("created")
    report, cost = analysed(spec, [spread_world(1e-7, 0.9, 0.5)] * 4, rng)
    assert all(report.created)
    assert cost.candidate == 4 * 64
    assert cost.reference / 4 <= 1.3 * math.log(20) / epsilon(256, 0.5)


def test_reach_at_a_large_probe_budget_costs_no_reference_sample_beyond_the_pilot(tmp_path: Path) -> None:
    """K_probe = 8192, a = 3 eps: a third of the claim of the benchmark, 50 times under the fixed plan."""
    spec, rng = spec_of(4, k_probe=8192, pilot=32, most=12 * 8192), session_in(tmp_path).rng("elicited")
    threshold = epsilon(8192, 0.5)
    report, cost = analysed(spec, [spread_world(3 * threshold, 0.3, 0.5)] * 4, rng)
    assert cost.reference == 4 * 32
    assert 4 * 8192 / cost.tokens >= 17
    labels = {assess_reference(spec, seen).probe.label for seen in report.observations}
    assert labels == {"in"}


def test_what_needs_a_gpu_is_left_out_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    right = Outcome(figures=(), checks=(Check("an answer", True, "equal"),))
    monkeypatch.setattr(command_line, "NAMES", ("decode", "cuda"))
    monkeypatch.setattr(command_line, "describe", lambda: {"cores": 2})
    monkeypatch.setattr(command_line, "_measure", lambda name, quick: ran.append(name) or right)
    command_line.run(work=tmp_path)
    assert ran == ["decode"]
    command_line.run(["cuda"], work=tmp_path)  # named, it runs, and says what it lacks
    assert ran == ["decode", "cuda"]
