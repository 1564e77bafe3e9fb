"""A result document in a terminal."""

from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

COLOURS = {"elicitation": "cyan", "creation": "magenta", "mixed": "yellow", "inconclusive": "white"}
REGIME_MEANING = {
    "basin": "reached at K_use already",
    "tail": "reached at K_probe only",
    "unreached": "not reached by the reference; reached by the candidate",
    "barrier": "reached with assistance only",
    "singular": "outside the reference's support",
    "lost": "reached by the reference, no longer by the candidate",
    "beyond": "reached by neither",
    "undetermined": "needs more samples",
}


def number(estimate: dict[str, Any] | None, digits: int = 3) -> str:
    """An estimate with its interval and, where it is not ``ok``, its grade; or why there is none."""
    if estimate is None:
        return "-"
    if estimate["value"] is None:
        return f"{estimate['status']}: {estimate['reason']}"
    value = f"{estimate['value']:.{digits}f}"
    low, high = estimate["ci_low"], estimate["ci_high"]
    doubt = "" if estimate["status"] == "ok" else f" ({estimate['status']})"
    if low is None and high is None:
        return value + doubt
    left = "-inf" if low is None else f"{low:.{digits}f}"
    right = "inf" if high is None else f"{high:.{digits}f}"
    return f"{value} [{left}, {right}]{doubt}"


def _pairs(rows: list[tuple[str, str]], title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    for left, right in rows:
        table.add_row(left, right)
    return table


def these_prompts(mean: dict[str, Any], digits: int = 3) -> str:
    """A mean over prompts with the 95 % interval for exactly these prompts."""
    if mean["value"] is None:
        return f"{mean['status']}: {mean['reason']}"
    error = mean["sampling_std_error"]
    value = f"{mean['value']:.{digits}f}"
    return value if error is None else f"{value} ± {1.96 * error:.{digits}f}"


def _interval(mean: dict[str, Any], digits: int = 3) -> str:
    """The interval for the population that the prompts stand for."""
    low, high = mean["ci_low"], mean["ci_high"]
    if low is None and high is None:
        return "-"
    left = "-inf" if low is None else f"{low:.{digits}f}"
    right = "inf" if high is None else f"{high:.{digits}f}"
    doubt = "" if mean["status"] == "ok" else f"  ({mean['status']})"
    return f"[{left}, {right}]{doubt}"


def _means(rows: list[tuple[str, dict[str, Any]]], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("", style="bold")
    table.add_column("these prompts")
    table.add_column("population, 95 %")
    for name, mean in rows:
        table.add_row(name, these_prompts(mean), Text(_interval(mean)))
    return table


def _gain(gain: dict[str, Any]) -> Table:
    parts = ("total", "elicited", "created", "lost", "undetermined")
    return _means([(part, gain[part]) for part in parts], "Gain in success probability")


def _regimes(regimes: dict[str, int]) -> Table:
    rows = [(f"{count:>3} {name}", REGIME_MEANING[name]) for name, count in regimes.items() if count]
    return _pairs(rows, "Prompts by regime")


def _arms(arms: list[dict[str, Any]]) -> Table:
    """What the reference reached under each arm, in prompts."""
    table = Table(title="Arms of the reference", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("arm", style="bold")
    table.add_column("role")
    for head in ("prompts", "samples", "reached", "out", "undetermined"):
        table.add_column(head, justify="right")
    for arm in arms:
        counts = (arm[name] for name in ("prompts", "samples", "reached", "out", "undetermined"))
        table.add_row(Text(arm["arm"]), arm["role"], *(f"{count:,}" for count in counts))
    return table


def _pass_at_k(support: dict[str, Any]) -> Table:
    table = Table(title="pass@k", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("k", justify="right")
    sides = [side for side in ("reference", "candidate") if support.get(side)]
    for side in sides:
        table.add_column(side)
    for row in zip(*(support[side]["pass_at_k"] for side in sides), strict=True):
        table.add_row(str(row[0]["k"]), *(number(point["estimate"]) for point in row))
    return table


def _demonstrations(shown: dict[str, Any]) -> Table:
    """How far both models are from the demonstrations, in nats."""
    rows = [
        (f"{name}, {side}", shown[key][side])
        for key, name in (("cross_entropy", "cross-entropy"), ("kl_to_teacher", "KL to teacher"))
        for side in ("reference", "candidate", "change")
    ]
    return _means(rows, f"Nats: {shown['count']} demonstrations")


def _free_energy(terms: dict[str, Any]) -> Table:
    names = {"kl": "kl", "tilt": "= tilt", "drift": "+ drift", "escape": "+ escape"}
    rows = [(shown, terms[name]) for name, shown in names.items()]
    return _means(rows, "Nats: KL(candidate || reference)")


def _along_training(checkpoints: list[dict[str, Any]]) -> Table:
    """Gain, nats and verdict of each checkpoint."""
    table = Table(title="Along training", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for head in ("checkpoint", "step"):
        table.add_column(head, no_wrap=head == "step")
    stepped = any(one.get("success_step") for one in checkpoints)
    for head in ("gain", "tilt", "drift", "escape", *(("price fell by",) if stepped else ())):
        table.add_column(head, justify="right")
    table.add_column("verdict")
    table.add_column("lost", justify="right")
    for one in checkpoints:
        energy, verdict = one.get("free_energy") or {}, one.get("verdict")
        means = [(one.get("gain") or {}).get("total"), *(energy.get(k) for k in ("tilt", "drift", "escape"))]
        means += [one.get("success_step")] if stepped else []
        label = verdict["label"] if verdict else "-"
        shrinkage = one["shrinkage"]
        lost = f"{len(shrinkage['prompt_ids'])}{' certified' if shrinkage['certified'] else ''}"
        table.add_row(
            one["candidate"],
            "" if one["step"] is None else f"{one['step']:,}",
            *("-" if mean is None else these_prompts(mean, 2) for mean in means),
            Text(label, style=COLOURS.get(label, "white")),
            lost,
        )
    return table


def _first_shrinkage(result: dict[str, Any]) -> Text:
    first = result.get("first_shrinkage")
    if first is None:
        return Text("No checkpoint is certified to have lost a prompt.")
    step = "" if first["step"] is None else f" (step {first['step']:,})"
    return Text(f"Shrinkage is certified from {first['candidate']}{step} on, if not before.", style="bold")


def summarise(console: Console, analysis: dict[str, Any], result: dict[str, Any]) -> None:
    """Print what a result says: verdict, gain split, regimes, curves or demonstrations, nats, warnings."""
    parts: list[Any] = []
    verdict = result.get("verdict")
    if verdict is not None:
        parts.append(Text(verdict["sentence"]))
        parts.append(Text("\n".join(f"because {reason}" for reason in verdict["reasons"]), style="dim"))
    if result.get("gain") is not None:
        parts.append(_gain(result["gain"]))
    if result["support"].get("regimes") is not None:
        parts.append(_regimes(result["support"]["regimes"]))
    if result["support"].get("arms"):
        parts.append(_arms(result["support"]["arms"]))
    if result.get("checkpoints"):
        parts += [_along_training(result["checkpoints"]), _first_shrinkage(result)]
    if result.get("demonstrations") is not None:
        # A success is a demonstration copied token by token: its pass@k is nothing to begin with.
        parts.append(_demonstrations(result["demonstrations"]))
    else:
        parts.append(_pass_at_k(result["support"]))
    if result.get("free_energy") is not None:
        parts.append(_free_energy(result["free_energy"]))
    parts += [Text(f"warning: {w['detail']}", style="yellow") for w in result["warnings"]]
    label = verdict["label"] if verdict is not None else analysis["kind"]
    title = f"[bold]{label.upper()}[/bold]  {analysis['name'] or analysis['id']}"
    body = Group(*(item for part in parts for item in (part, Text(""))))
    console.print(Panel(body, title=title, title_align="left", border_style=COLOURS.get(label, "green")))
