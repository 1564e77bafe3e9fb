"""Every operation shows what is sent and what comes back, and what it shows keeps the contract."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.openapi import snapshot

DOCUMENT: dict[str, Any] = json.loads(snapshot())


def media() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Operation, place and media type object of everything that has a body."""
    for operations in DOCUMENT["paths"].values():
        for operation in operations.values():
            name = operation["operationId"]
            for media_type, found in operation.get("requestBody", {}).get("content", {}).items():
                yield name, f"request {media_type}", found
            for status, response in operation["responses"].items():
                for media_type, found in response.get("content", {}).items():
                    yield name, f"{status} {media_type}", found


PLACES = list(media())


@pytest.mark.parametrize(("operation", "place", "found"), PLACES, ids=[f"{o}: {p}" for o, p, _ in PLACES])
def test_it_has_an_example_that_keeps_its_schema(operation: str, place: str, found: dict[str, Any]) -> None:
    if place.startswith("503"):
        return  # no gateway of a healthy installation answers it
    assert "example" in found
    if schema := found.get("schema"):
        whole = {**schema, "components": DOCUMENT["components"]}
        Draft202012Validator.check_schema(whole)
        faults = [
            f"{error.json_path}: {error.message}"
            for error in Draft202012Validator(whole).iter_errors(found["example"])
        ]
        assert faults == []
    else:
        assert isinstance(found["example"], str | dict)


def test_the_validator_sees_a_fault() -> None:
    """A check that cannot fail would show nothing."""
    analysis = next(f for o, p, f in PLACES if (o, p) == ("analyses_get", "200 application/json"))
    broken = {**analysis["example"], "status": "lost"}
    whole = {**analysis["schema"], "components": DOCUMENT["components"]}
    assert not Draft202012Validator(whole).is_valid(broken)
