"""The OpenAPI document of the gateway."""

import copy
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api_schemas.problems import PROBLEM_MEDIA_TYPE, Problem
from service.api.examples import add_examples

DESCRIPTION: Final = "Did post-training tilt the model, or take it somewhere new?"
VERSION: Final = "1.0.0"
"""Of the HTTP contract, not of the package."""

_REPLACED: Final = ("HTTPValidationError", "ValidationError")


def install(app: FastAPI) -> None:
    """Describe errors as they are: problem documents, where FastAPI would describe its own."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document["components"]["schemas"]
    for name in _REPLACED:
        schemas.pop(name, None)
    definition = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(definition.pop("$defs", {}))
    schemas["Problem"] = definition
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    problem = {
        "description": "A problem (RFC 9457).",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = copy.deepcopy(problem)
    add_examples(document)
    return document


def query_parameters(document: Mapping[str, Any], operation_id: str | None) -> frozenset[str] | None:
    """Names of an operation's query parameters; None if the document has no such operation."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation["operationId"] == operation_id:
                parameters = operation.get("parameters", [])
                return frozenset(entry["name"] for entry in parameters if entry["in"] == "query")
    return None
