"""The committed OpenAPI document, as far as types are concerned."""

import json
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

PREFIX = "#/components/schemas/"


class Contract:
    """Schemas by name, and which of them requests and responses reach."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Any] = document["components"]["schemas"]
        self._operations = [
            operation for operations in document["paths"].values() for operation in operations.values()
        ]

    @classmethod
    def load(cls, path: Path) -> "Contract":
        """Read a document from its file."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def responses(self) -> dict[str, Any]:
        """Object schemas that answers consist of; what a schema refers to comes before it."""
        return self._closure(operation["responses"] for operation in self._operations)

    def requests(self) -> dict[str, Any]:
        """Object schemas that request bodies consist of; what a schema refers to comes before it."""
        return self._closure(operation.get("requestBody", {}) for operation in self._operations)

    def _closure(self, roots: Iterator[Any]) -> dict[str, Any]:
        waiting = sorted({name for root in roots for name in references(root)})
        edges: dict[str, list[str]] = {}
        while waiting:
            name = waiting.pop()
            if name not in edges:
                edges[name] = sorted(set(references(self._schemas[name])))
                waiting += edges[name]
        order = TopologicalSorter({name: edges[name] for name in sorted(edges)}).static_order()
        return {name: self._schemas[name] for name in order}


def references(node: Any) -> Iterator[str]:
    """Names of the schemas that a part of the document refers to."""
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.removeprefix(PREFIX)
        for name, child in node.items():
            # An example may be a schema, with references of its own.
            if name != "example" or "schema" not in node:
                yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def class_name(schema_name: str) -> str:
    """A Python name; FastAPI marks a schema that differs by direction with a suffix."""
    return schema_name.removesuffix("-Input").removesuffix("-Output").replace("-", "_")


def annotation(schema: Mapping[str, Any], *, open_enums: bool) -> str:
    """The type of a schema in Python's notation.

    Args:
        schema: A JSON Schema as FastAPI writes them.
        open_enums: Whether a later version's words are accepted beside the known ones.

    Raises:
        NotImplementedError: the schema uses what this generator does not know.
    """
    if "$ref" in schema:
        return class_name(schema["$ref"].removeprefix(PREFIX))
    for union in ("anyOf", "oneOf"):
        if union in schema:
            parts = [annotation(part, open_enums=open_enums) for part in schema[union]]
            return " | ".join(dict.fromkeys(part for whole in parts for part in whole.split(" | ")))
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if "enum" in schema:
        words = f"Literal[{', '.join(repr(word) for word in schema['enum'])}]"
        return f"{words} | str" if open_enums else words
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(annotation({**schema, "type": one}, open_enums=open_enums) for one in kind)
    if kind == "array":
        return f"list[{annotation(schema.get('items', {}), open_enums=open_enums)}]"
    if kind == "object":
        values = schema.get("additionalProperties", True)
        if patterns := schema.get("patternProperties"):
            values = next(iter(patterns.values()))
        inner = annotation(values, open_enums=open_enums) if isinstance(values, dict) else "Any"
        return f"dict[str, {inner}]"
    plain = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
    if kind in plain:
        return plain[kind]
    if kind is None:
        return "Any"
    raise NotImplementedError(f"no Python type for {schema}")
