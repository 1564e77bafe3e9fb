"""Building a request from what is at hand: names, files, lists, options."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tiltscope.errors import UsageError

DATASET_ID = re.compile(r"ds_[0-9A-Za-z]+")
INLINE_PROMPTS = 1_000
"""Prompts that a request may carry; more of them become a data set first."""

IMPORT_ID = re.compile(r"imp_[0-9A-Za-z]+")

PromptSource = str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]]
"""A JSON Lines file, a data set's id `ds_...`, `{"inline": [...]}` or `{"dataset": ...}`, or prompts."""

Participant = str | Mapping[str, Any]
"""A registry id, an import's id `imp_...`, or a participant as the contract has it."""


def analysis_request(
    *,
    reference: Participant,
    candidate: Participant | None = None,
    candidates: Iterable[Participant] | None = None,
    teacher: Participant | None = None,
    prompts: PromptSource | None = None,
    signal: str | Mapping[str, Any] = "exact",
    kind: str | None = None,
    limit: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The body of `POST /v1/analyses`.

    Args:
        reference: The model before post-training.
        candidate: The model after it.
        candidates: Several, in training order, for kind `trajectory`.
        teacher: The law of the demonstrations, for the signal of that name.
        prompts: What to ask; may be left out where every side is an import.
        signal: A verifier's kind, or its settings.
        kind: What to find; by default `trajectory`, `capability` or `support`, by the candidates given.
        limit: Keep only the first prompts, for a quick look.
        **more: Fields of the request; None leaves one out.

    Raises:
        UsageError: a file cannot be read, or is no JSON Lines.
    """
    several = None if candidates is None else [participant(one) for one in candidates]
    default_kind = "trajectory" if several else "support" if candidate is None else "capability"
    body: dict[str, Any] = {"kind": kind or default_kind, "reference": participant(reference)}
    if candidate is not None:
        body["candidate"] = participant(candidate)
    if several is not None:
        body["candidates"] = several
    if teacher is not None:
        body["teacher"] = participant(teacher)
    if prompts is not None:
        body["prompts"] = prompt_source(prompts)
    body["signal"] = {"kind": signal} if isinstance(signal, str) else dict(signal)
    body |= {name: value for name, value in more.items() if value is not None}
    keep_first(body, limit)
    return body


def participant(side: Participant) -> dict[str, Any]:
    """One side of an analysis."""
    if not isinstance(side, str):
        return dict(side)
    if IMPORT_ID.fullmatch(side):
        return {"source": "import", "import": side}
    return {"source": "model", "model": side}


def prompt_source(prompts: PromptSource) -> dict[str, Any]:
    """The `prompts` of a request."""
    if isinstance(prompts, str) and DATASET_ID.fullmatch(prompts):
        return {"dataset": prompts}
    if isinstance(prompts, str | Path):
        return {"inline": read_prompts(Path(prompts))}
    if isinstance(prompts, Mapping):
        return dict(prompts)
    return {"inline": [dict(prompt) for prompt in prompts]}


def from_file(path: Path) -> dict[str, Any]:
    """A whole request from a JSON file."""
    body = parse_json(_read(path), str(path))
    if not isinstance(body, dict):
        raise UsageError(f"{path} holds no JSON object")
    return body


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """Prompts from JSON Lines.

    Raises:
        UsageError: a line is no JSON object; the message has its number.
    """
    prompts = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        if line.strip():
            prompt = parse_json(line, f"{path}:{number}")
            if not isinstance(prompt, dict):
                raise UsageError(f"{path}:{number} is no JSON object")
            prompts.append(prompt)
    if not prompts:
        raise UsageError(f"{path} holds no prompts")
    return prompts


def keep_first(body: dict[str, Any], limit: int | None) -> None:
    """Keep only the first prompts of a request, for a quick look.

    Raises:
        UsageError: the prompts are in a data set, which cannot be cut here.
    """
    inline = body.get("prompts", {}).get("inline")
    if limit is None:
        return
    if not isinstance(inline, list):
        raise UsageError(
            "a limit takes the first prompts of a file; those of a data set or an import stay whole"
        )
    body["prompts"] = {"inline": inline[:limit]}


def parse_json(text: str, where: str) -> Any:
    """A JSON value.

    Raises:
        UsageError: it is none.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{where} is not JSON: {error}") from error


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def _read(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: {error}") from error
