"""Whether a JSON Schema can be validated by, safely."""

import json
from collections.abc import Iterator
from typing import Any, Final

from jsonschema import validators
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for

from service.analyses.pattern_checks import pattern_fault

MAX_SCHEMA_CHARACTERS: Final = 20_000
"""Of a schema as text: checking one against its meta-schema takes this process milliseconds a kilobyte."""

REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


def schema_fault(schema: object) -> str | None:
    """Why a schema is refused and what to do; None if it can be used.

    Args:
        schema: A JSON value.
    """
    if not isinstance(schema, dict | bool):
        return 'a JSON Schema is an object, true or false; write one like {"type": "object"}'
    if len(json.dumps(schema)) > MAX_SCHEMA_CHARACTERS:
        return f"a JSON Schema may have {MAX_SCHEMA_CHARACTERS:,} characters; leave descriptions out"
    for name, value in _members(schema):
        if name in REFERENCES and isinstance(value, str) and not value.startswith("#"):
            return (
                f"`{name}: {value[:80]}` points outside the schema, and nothing is fetched; put what it "
                "refers to under `$defs` and point there, as in `#/$defs/name`"
            )
        patterns = [value] if name == "pattern" and isinstance(value, str) else []
        if name == "patternProperties" and isinstance(value, dict):
            patterns = list(value)
        for pattern in patterns:
            if fault := pattern_fault(pattern):
                return fault
    try:
        validator_for(schema, default=validators.Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return f"not a JSON Schema: {error.json_path}: {error.message[:200]}"
    return None


def schema_text_fault(text: str) -> str | None:
    """The same of a schema given as JSON text."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        return 'the accepted answer is no JSON, so it is no JSON Schema; write one like {"type": "object"}'
    return schema_fault(schema)


def _members(node: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object, at any depth."""
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield from node.items()
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
