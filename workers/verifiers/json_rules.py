"""Validation of documents by JSON Schema; runs in a child process.

`jsonschema` is told two things it does not do by itself: `pattern` and `patternProperties` go to RE2, because
Python's `re` can take exponential time, and a reference to another document is refused, because fetching it
would be a request that the caller chose. What `additionalProperties` still gives to `re` the child's own
limits end.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NoReturn

from jsonschema import ValidationError, validators
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from workers.verifiers.compiled import PatternError, compile_pattern

DEFAULT_DIALECT: Final = validators.Draft202012Validator
"""Of a schema that names none."""


def warm() -> None:
    """Load the meta-schema once."""
    answer({"text": "{}", "schema": '{"type": "object", "properties": {"a": {"type": "string"}}}'})


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Whether a text is a document that a schema accepts.

    Args:
        request: `text`; `schema`, a JSON Schema as text.

    Returns:
        `{"valid": True}`; `{"valid": False, "detail": why}`; `{"unparsed": why}` if the text is not JSON;
        `{"failed": reason}` if the schema cannot be used.
    """
    try:
        validator = validator_of(request["schema"])
    except UnusableSchema as error:
        return {"failed": str(error)}
    try:
        document = json.loads(request["text"], parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return {"unparsed": "the text is not JSON"}
    try:
        fault = next(iter(validator.iter_errors(document)), None)
    except Unresolvable as error:
        return {"failed": f"the schema refers to {error.ref!r}, which is not in it"}
    except (PatternError, RecursionError) as error:
        return {"failed": str(error)[:200]}
    if fault is None:
        return {"valid": True}
    return {"valid": False, "detail": f"{fault.json_path}: {fault.validator} does not hold"[:200]}


class UnusableSchema(Exception):
    """A schema that is none, or that refers beyond itself."""


@lru_cache(maxsize=256)
def validator_of(schema: str) -> Any:
    """The validator of a schema given as JSON text.

    Raises:
        UnusableSchema: it is no JSON Schema.
    """
    try:
        document = json.loads(schema)
        dialect = validator_for(document, default=DEFAULT_DIALECT)
        dialect.check_schema(document)
    except (ValueError, SchemaError, RecursionError) as error:
        reason = error.message if isinstance(error, SchemaError) else str(error)
        raise UnusableSchema(f"not a JSON Schema: {reason[:200]}") from error
    careful = validators.extend(
        dialect, {"pattern": _pattern, "patternProperties": _pattern_properties}, version="careful"
    )
    return careful(document, registry=Registry())


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _compiled(pattern).search(instance):
        yield ValidationError(f"does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: dict[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for name, value in instance.items():
            if _compiled(pattern).search(name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> Any:
    return compile_pattern(pattern)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
