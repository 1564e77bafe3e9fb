"""Which prompts imported sides have in common: by what was asked, never by position or name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.errors import AnalysisFault
from workers.importers.record import prompt_digest
from workers.pipelines.plan import Notice
from workers.pipelines.spec import PromptSpec, renumbered


@dataclass(frozen=True, slots=True)
class ImportedSide:
    """The prompts of one imported side.

    Attributes:
        prompts: As the log has them.
        counts: Samples of each.
    """

    prompts: tuple[PromptSpec, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pairing:
    """The prompts of an analysis with imported sides.

    Attributes:
        prompts: Those that every side has, in the order of the request, or else of the reference.
        rows: For each imported side, each prompt's number in its log.
        fixed: For each imported side, how many samples it has of each prompt.
        notices: What was left out.
    """

    prompts: tuple[PromptSpec, ...]
    rows: Mapping[str, tuple[int, ...]]
    fixed: Mapping[str, tuple[int, ...]]
    notices: tuple[Notice, ...]


def pair(sides: Mapping[str, ImportedSide], requested: tuple[PromptSpec, ...] | None) -> Pairing:
    """Pair imported sides with each other, and with the request's prompts where it has any.

    Args:
        sides: Imported sides by stream, the reference first.
        requested: Prompts of the request; None takes those of the first side, answers included.

    Raises:
        AnalysisFault: no prompt is on every side.
    """
    first = next(iter(sides.values()))
    wanted = first.prompts if requested is None else requested
    places = {stream: _places(side.prompts) for stream, side in sides.items()}
    kept = [p for p in wanted if all(_digest(p) in found for found in places.values())]
    if not kept:
        raise AnalysisFault(
            "unpaired_prompts",
            "the sides have no prompt in common: prompts pair by the exact text that was asked, so templates "
            "and few-shot examples must be the same",
        )
    rows = {stream: tuple(found[_digest(p)] for p in kept) for stream, found in places.items()}
    fixed = {stream: tuple(sides[stream].counts[row] for row in numbers) for stream, numbers in rows.items()}
    return Pairing(renumbered(kept), rows, fixed, tuple(_left_out(sides, wanted, len(kept))))


def _left_out(sides: Mapping[str, ImportedSide], wanted: Sequence[PromptSpec], kept: int) -> list[Notice]:
    counts = {"the request": len(wanted), **{stream: len(side.prompts) for stream, side in sides.items()}}
    missing = [f"{count - kept} of {name}" for name, count in counts.items() if count > kept]
    if not missing:
        return []
    return [Notice("prompts_unmatched", f"{kept} prompts are on every side; left out: {', '.join(missing)}")]


def _places(prompts: Sequence[PromptSpec]) -> dict[str, int]:
    return {_digest(prompt): number for number, prompt in enumerate(prompts)}


def _digest(prompt: PromptSpec) -> str:
    return prompt_digest(prompt.text, prompt.messages)
