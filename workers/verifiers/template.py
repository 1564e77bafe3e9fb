"""The body of a request to an HTTP judge: a JSON document with places for what is judged."""

import re
from typing import Any, Final

from workers.verifiers.judgement import Case

PLACE: Final = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")


def values_of(case: Case) -> dict[str, Any]:
    """What each place stands for."""
    key = case.key
    return {
        "completion": case.text,
        "prompt": key.prompt,
        "prompt_id": key.prompt_id,
        "answer": key.answers[0] if key.answers else None,
        "answers": list(key.answers),
        "choices": list(key.choices),
        "metadata": dict(key.metadata),
        "finish_reason": case.finish_reason,
    }


PLACES: Final = frozenset(
    {"completion", "prompt", "prompt_id", "answer", "answers", "choices", "metadata", "finish_reason"}
)


def fill(template: Any, values: dict[str, Any]) -> Any:
    """The template with its places filled.

    A string that is one place and nothing else becomes the value itself; elsewhere the value stands as text.
    What a model wrote stays inside one JSON string: it cannot add members or end the document.
    """
    if isinstance(template, dict):
        return {name: fill(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    if not isinstance(template, str):
        return template
    if (whole := PLACE.fullmatch(template)) is not None and whole.group(1) in values:
        return values[whole.group(1)]
    return PLACE.sub(lambda place: str(values.get(place.group(1), place.group(0))), template)


def at_pointer(document: Any, pointer: str) -> Any:
    """The value at a JSON Pointer (RFC 6901).

    Raises:
        LookupError: there is none.
    """
    node = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            if not name.isdigit():
                raise LookupError(pointer)
            node = node[int(name)]
        elif isinstance(node, dict):
            node = node[name]
        else:
            raise LookupError(pointer)
    return node
