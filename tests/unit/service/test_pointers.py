from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from service.pointers import pointer, resolve


def test_pointers_escape_by_rfc_6901() -> None:
    assert pointer(()) == ""
    assert pointer(("a/b", "m~n", 0, "")) == "/a~1b/m~0n/0/"


class Leaf(BaseModel, extra="forbid"):
    kind: Literal["leaf"]
    size: int


class Tree(BaseModel, extra="forbid"):
    kind: Literal["tree"]
    children: list[Annotated["Leaf | Tree", Field(discriminator="kind")]]


class Root(BaseModel, extra="forbid"):
    node: Annotated[Leaf | Tree, Field(discriminator="kind")]
    names: dict[Annotated[str, Field(pattern="^[a-z]+$")], int] = {}
    either: int | list[int] = 0


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/node"]),
        ({"node": {"kind": "leaf"}}, ["/node/size"]),
        ({"node": {"kind": "leaf", "size": "x"}}, ["/node/size"]),
        # The tag `leaf` is also the name of a member that is not allowed.
        ({"node": {"kind": "leaf", "size": "x", "leaf": 1}}, ["/node/size", "/node/leaf"]),
        (
            {"node": {"kind": "tree", "children": [{"kind": "leaf", "size": 1}, {"kind": "leaf"}]}},
            ["/node/children/1/size"],
        ),
        ({"node": {"kind": "leaf", "size": 1}, "names": {"A/b": 1}}, ["/names/A~1b"]),
        ({"node": {"kind": "leaf", "size": 1}, "either": [1, "x"]}, ["/either", "/either/1"]),
        ({"node": {"kind": "leaf", "size": 1}, "0": 1}, ["/0"]),
    ],
)
def test_locations_become_places_in_the_document(body: dict[str, Any], pointers: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Root.model_validate(body)
    found = [resolve(body, e["loc"], missing=e["type"] == "missing") for e in caught.value.errors()]
    assert found == pointers


def test_a_tag_that_names_a_member_does_not_lead_into_it() -> None:
    body = {"node": {"kind": "leaf", "size": "x", "leaf": {"other": 1}}}
    assert resolve(body, ("node", "leaf", "size"), missing=False) == "/node/size"
