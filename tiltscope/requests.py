"""Building a request from files and options."""

import json
from pathlib import Path
from typing import Any

from tiltscope.errors import TiltscopeError


class UsageError(TiltscopeError):
    """Options or files that make no request."""

    exit_code = 2


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{where} is not JSON: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def from_file(path: Path) -> dict[str, Any]:
    """A whole request from a JSON file."""
    body = _json(_read(path), str(path))
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
            prompt = _json(line, f"{path}:{number}")
            if not isinstance(prompt, dict):
                raise UsageError(f"{path}:{number} is no JSON object")
            prompts.append(prompt)
    if not prompts:
        raise UsageError(f"{path} holds no prompts")
    return prompts


def from_options(
    *,
    reference: str | None,
    candidate: str | None,
    prompts: Path | None,
    kind: str | None,
    signal: str,
) -> dict[str, Any]:
    """A request from command-line options.

    Raises:
        UsageError: something needed is missing.
    """
    if reference is None or prompts is None:
        raise UsageError("give --reference and --prompts (and --candidate), or a whole request by --request")
    body: dict[str, Any] = {
        "kind": kind or ("support" if candidate is None else "capability"),
        "reference": {"source": "model", "model": reference},
        "prompts": {"inline": read_prompts(prompts)},
        "signal": _json(signal, "--signal") if signal.startswith("{") else {"kind": signal},
    }
    if candidate is not None:
        body["candidate"] = {"source": "model", "model": candidate}
    return body


def keep_first(body: dict[str, Any], limit: int | None) -> None:
    """Keep only the first prompts of a request, for a quick look."""
    inline = body.get("prompts", {}).get("inline")
    if limit is not None and isinstance(inline, list):
        body["prompts"] = {"inline": inline[:limit]}
