"""The page: every table, what the figures stand on, and what is missed."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.catalogue import NAMES, load
from benchmarks.performance.outcome import Blocks, Figure, Outcome, number
from benchmarks.performance.plots import draw_curve, draw_targets, file_name
from benchmarks.performance.store import Store

INTRODUCTION = """# Performance

What Tiltscope costs, always beside something that is run or counted in the same session. `make bench`
writes this page; one benchmark is run again alone with `python -m benchmarks.performance run NAME` and
published with `python -m benchmarks.performance report`.

- **Answers first.** Each benchmark compares answers before it starts a clock. A fast wrong answer fails it.
- **Counts before clocks.** Samples and tokens depend on the seed alone; they are marked *count* and are the
  same on any machine.
- **Clocks only as ratios**, in interleaved blocks (ours, theirs, theirs, ours) of one process. A block in
  which other processes took more than 5 % of the machine is dropped, counted and tried again.
- A figure is the median, with the range over what was repeated. A target that is missed stays in the table,
  with what holds it back.
"""


def publish(work: Store, page: Path) -> list[str]:
    """Write the page, its plots and the JSON of every outcome.

    Args:
        work: Outcomes of this session; others keep what is published beside the page.
        page: Where the page goes.

    Returns:
        One line for each target that is missed and each benchmark whose figures do not count.
    """
    folder = page.parent / page.stem
    published = Store(folder)
    outcomes = {}
    for name in NAMES:
        outcome = work.read(name) or published.read(name)
        if outcome is not None:
            outcomes[name] = outcome
            published.save(name, outcome)
    folder.mkdir(parents=True, exist_ok=True)
    draw_targets(outcomes, folder / "targets.png")
    benchmarks = {name: load(name) for name in outcomes}
    lines = [INTRODUCTION, *_gate(benchmarks, outcomes)]
    if (folder / "targets.png").exists():
        lines += [f"![Every figure against its target]({folder.name}/targets.png)", ""]
    lines += [*_assembled(outcomes), *_missed(outcomes)]
    for name, outcome in outcomes.items():
        lines += _section(name, benchmarks[name], outcome, folder)
    lines += _machines(outcomes)
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return [
        *(f"{name}: answers differ, no figure counts" for name, one in outcomes.items() if not one.valid),
        *(
            f"{name}: {one.name} is {number(one.value)}, aimed at {_target(one)}"
            for name, one in _misses(outcomes)
        ),
    ]


def _gate(benchmarks: Mapping[str, Benchmark], outcomes: Mapping[str, Outcome]) -> list[str]:
    gates = [name for name, benchmark in benchmarks.items() if benchmark.gates]
    open_ones = [name for name in gates if outcomes[name].valid and not _missed_by(outcomes[name])]
    if gates and open_ones == gates:
        return ["The gate ([validity](#validity)) passes, so the ratios below count.", ""]
    return ["**The gate (validity) does not pass, or was not run: no ratio below counts.**", ""]


def _assembled(outcomes: Mapping[str, Outcome]) -> list[str]:
    commits = {_commit(outcome) for outcome in outcomes.values()}
    if len(commits) < 2:
        return []
    return [
        f"Assembled from runs on {len(commits)} states of the code: "
        "[where and when](#where-and-when) names each benchmark's.",
        "",
    ]


def _commit(outcome: Outcome) -> str:
    return str(outcome.about.get("commit", "not recorded"))


def _missed(outcomes: Mapping[str, Outcome]) -> list[str]:
    missed = _misses(outcomes)
    if not missed:
        return []
    rows = [
        f"| {name} | {one.name} | {number(one.value)} | {_target(one)} | {one.holds_back} |"
        for name, one in missed
    ]
    return [
        "## Missed",
        "",
        "| benchmark | figure | measured | aimed at | why |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def _section(name: str, benchmark: Benchmark, outcome: Outcome, folder: Path) -> list[str]:
    lines = [f"## {name}", "", f"{benchmark.title}. Against {benchmark.against}.", ""]
    if not outcome.valid:
        lines += ["**Answers differ, so nothing was timed and no figure counts.**", ""]
    if outcome.figures:
        lines += [
            "| figure | median | range | over | aimed at | met | limit |",
            "|---|---|---|---|---|---|---|",
            *map(_row, outcome.figures),
            "",
        ]
    why = [
        f"- {one.name}: {one.holds_back}"
        for one in outcome.figures
        if one.holds_back and one.met is not False
    ]
    lines += [*why, ""] if why else []
    lines += [f"{note}\n" for note in outcome.notes]
    for curve in outcome.curves:
        draw_curve(curve, folder / file_name(name, curve))
        lines += [f"![{curve.title}]({folder.name}/{file_name(name, curve)})", ""]
    lines += ["Checked before:", ""]
    lines += [f"- {'✓' if c.passed else '✗'} {c.name}: {c.detail}" for c in outcome.checks]
    lines += [""]
    if outcome.blocks:
        lines += ["Blocks: " + "; ".join(map(_blocks, outcome.blocks)) + ".", ""]
    return lines


def _row(one: Figure) -> str:
    met = {True: "yes", False: "**no**", None: ""}[one.met]
    kind = "clock" if one.from_clocks else "count"
    return (
        f"| {one.name} | {number(one.value)} {one.unit} | {_range(one)} "
        f"| {one.n} {one.over}, {kind} | {_target(one)} | {met} | {one.limit} |"
    )


def _range(one: Figure) -> str:
    return "" if one.low == one.high else f"{number(one.low)} to {number(one.high)}"


def _blocks(one: Blocks) -> str:
    noisy = ", **too few quiet ones, so all count and the ratio is doubtful**" if one.noisy else ""
    return (
        f"{one.name} {one.kept} kept, {one.dropped} dropped, others' share at most {one.foreign:.1%}{noisy}"
    )


def _machines(outcomes: Mapping[str, Outcome]) -> list[str]:
    lines = [
        "## Where and when",
        "",
        "| benchmark | date | commit | seed | seconds | machine |",
        "|---|---|---|---|---|---|",
    ]
    for name, outcome in outcomes.items():
        about, machine = outcome.about, outcome.about["machine"]
        words = (
            f"{machine['cores']} x {machine['processor']}, {machine['memory_gib']} GiB, "
            f"{machine['threads']} thread(s), Python {machine['python']}, torch {machine['torch']}"
        )
        lines.append(
            f"| {name} | {about['date']} | {_commit(outcome)} | {about['seed']} | {about['seconds']:.0f} "
            f"| {words} |"
        )
    return lines


def _misses(outcomes: Mapping[str, Outcome]) -> list[tuple[str, Figure]]:
    return [(name, one) for name, outcome in outcomes.items() for one in _missed_by(outcome)]


def _missed_by(outcome: Outcome) -> list[Figure]:
    return [one for one in outcome.figures if one.met is False]


def _target(one: Figure) -> str:
    return "" if one.target is None else str(one.target)
