"""Every operation shows what is sent and what comes back, and what it shows keeps the contract."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.openapi import snapshot

DOCUMENT: dict[str, Any] = json.loads(snapshot())


def bodies() -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Operation, place and media types of everything that has a body."""
    for operations in DOCUMENT["paths"].values():
        for operation in operations.values():
            name, places = operation["operationId"], {"request": operation.get("requestBody", {})}
            for place, found in {**places, **operation["responses"]}.items():
                if content := found.get("content"):
                    yield name, place, list(content.values())


PLACES = list(bodies())


@pytest.mark.parametrize(("operation", "place", "media"), PLACES, ids=[f"{o}: {p}" for o, p, _ in PLACES])
def test_it_has_an_example_that_keeps_its_schema(
    operation: str, place: str, media: list[dict[str, Any]]
) -> None:
    if place == "503":
        return  # no gateway of a healthy installation answers it
    shown = [one for one in media if "example" in one]
    assert shown
    for one in shown:
        whole = {**one.get("schema", {}), "components": DOCUMENT["components"]}
        Draft202012Validator.check_schema(whole)
        faults = Draft202012Validator(whole).iter_errors(one["example"])
        assert [f"{fault.json_path}: {fault.message}" for fault in faults] == []


def test_the_validator_sees_a_fault() -> None:
    """A check that cannot fail would show nothing."""
    (analysis,) = next(media for o, p, media in PLACES if (o, p) == ("analyses_get", "200"))
    broken = {**analysis["example"], "status": "lost"}
    whole = {**analysis["schema"], "components": DOCUMENT["components"]}
    assert not Draft202012Validator(whole).is_valid(broken)
