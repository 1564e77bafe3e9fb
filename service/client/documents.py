"""Typed documents from the OpenAPI document: models of answers, dictionaries of requests."""

import keyword
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.client.contract import Contract, annotation, class_name

NOTE = "Generated from docs/openapi.json by `make openapi`: change the contract, not this file."
ROOT = Path(__file__).parents[2]
WIDTH = 100
ESTIMATE = {"value", "std_error", "ci_low", "ci_high", "status", "reason"}
"""Properties that make a schema an estimate, whatever its name."""


def modules(openapi: Path) -> dict[str, str]:
    """Module text by file name, from a committed OpenAPI document."""
    contract = Contract.load(openapi)
    return {"documents.py": _answers(contract.responses()), "payloads.py": _requests(contract.requests())}


def _answers(schemas: Mapping[str, Any]) -> str:
    parts = [
        f'"""What the service answers.\n\n{NOTE}\n"""',
        "from typing import Any, Literal",
        "from tiltscope.document import Document, EstimateDocument",
    ]
    for name, schema in schemas.items():
        base = "EstimateDocument" if schema.get("properties", {}).keys() >= ESTIMATE else "Document"
        parts.append(
            _class(name, schema, base, _answer_field) if _is_object(schema) else _alias(name, schema)
        )
    return formatted("\n\n".join(parts))


def _requests(schemas: Mapping[str, Any]) -> str:
    parts = [
        f'"""What the service takes, as dictionaries for a type checker.\n\n{NOTE}\n"""',
        "from typing import Any, Literal, Required, TypedDict",
    ]
    for name, schema in schemas.items():
        if not _is_object(schema):
            parts.append(_alias(name, schema))
        elif any(map(keyword.iskeyword, schema["properties"])):
            parts.append(_call(name, schema))
        else:
            parts.append(_class(name, schema, "TypedDict, total=False", _request_field))
    return formatted("\n\n".join(parts))


def _is_object(schema: Mapping[str, Any]) -> bool:
    return "properties" in schema


def _alias(name: str, schema: Mapping[str, Any]) -> str:
    return f"{class_name(name)} = {annotation(schema, open_enums=False)}"


def _class(name: str, schema: Mapping[str, Any], bases: str, field: Any) -> str:
    lines = [f"class {class_name(name)}({bases}):", _docstring(schema.get("description") or f"{name}.")]
    required = set(schema.get("required", ()))
    for key, value in schema["properties"].items():
        lines.append("    " + field(key, value, key in required))
        if description := value.get("description"):
            lines.append(_docstring(description))
    return "\n".join(lines)


def _call(name: str, schema: Mapping[str, Any]) -> str:
    """A dictionary with keys that Python has words of its own for: no class can name them."""
    required = set(schema.get("required", ()))
    fields = [
        f"{key!r}: {_request_field('', value, key in required).removeprefix(': ')}"
        for key, value in schema["properties"].items()
    ]
    made = f"TypedDict({class_name(name)!r}, {{{', '.join(fields)}}}, total=False)"
    note = textwrap.dedent(_docstring(schema.get("description") or f"{name}."))
    return f"{class_name(name)} = {made}\n{note}"


def _answer_field(key: str, schema: Mapping[str, Any], required: bool) -> str:
    kind = annotation(schema, open_enums=True)
    # What an older service does not send yet reads as "not computed".
    if "None" in kind.split(" | "):
        return f"{key}: {kind} = None"
    return f"{key}: {kind}" if required else f"{key}: {kind} | None = None"


def _request_field(key: str, schema: Mapping[str, Any], required: bool) -> str:
    kind = annotation(schema, open_enums=False)
    return f"{key}: Required[{kind}]" if required else f"{key}: {kind}"


def _docstring(text: str) -> str:
    paragraphs = [textwrap.fill(" ".join(part.split()), WIDTH) for part in text.strip().split("\n\n")]
    body = textwrap.indent("\n\n".join(paragraphs), "    ").strip()
    raw = "r" if "\\" in body else ""
    closing = '\n    """' if "\n" in body else '"""'
    return f'    {raw}"""{body}{closing}'


def formatted(text: str) -> str:
    """A module's text in the house's format; imports in order, none unused."""
    name = ["--stdin-filename", "tiltscope/generated.py"]
    rules = ["--select", "F401,I,UP028,C416,SIM117", "--unsafe-fixes"]
    fixed = _ruff(["check", "--fix", "--quiet", "--exit-zero", *rules, *name, "-"], text)
    return _ruff(["format", *name, "-"], fixed)


def _ruff(arguments: list[str], text: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments]
    done = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout
