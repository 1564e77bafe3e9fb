"""What a format-repair arm says before a prompt: how answers are read, and no word of what is right."""

from typing import Final

from api_schemas.extraction import Extract
from api_schemas.signals import Signal

ALONE: Final = "Give the final answer alone, without an explanation."
BY_KIND: Final = {
    "numeric": "End with the final answer as a number.",
    "math": "Give the final answer inside \\boxed{}.",
    "choice": "Answer with the letter of one choice, and nothing else.",
    "json_schema": "Answer with one JSON document, and nothing else.",
    "python": "Answer with one fenced block of Python code.",
}
"""Signals that read answers of a certain form; any other gets `ALONE`."""


def repair_instruction(signal: Signal) -> str:
    """The instruction, with the empty line that parts it from the prompt.

    What a signal compares with is left out: the pattern of `regex` says which answers are right, where that
    of `extract` only says where they stand.
    """
    extract: Extract | None = getattr(signal, "extract", None)
    said = BY_KIND.get(signal.kind, ALONE) if extract is None else _by_extract(extract)
    return f"{said}\n\n"


def _by_extract(extract: Extract) -> str:
    if extract.find == "boxed":
        return BY_KIND["math"]
    if extract.find == "last_number":
        return BY_KIND["numeric"]
    if extract.find == "after":
        return f"End with a line of its own: {extract.marker}, then the final answer."
    return f"Write the final answer so that this regular expression finds it: {extract.pattern}"
