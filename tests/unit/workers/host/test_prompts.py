"""Shards of one analysis come together: its prompts are made once."""

from types import SimpleNamespace

import pytest

from api_schemas.prompts import Prompt
from workers.host.prompts import prompts_of


@pytest.fixture
def context():
    return SimpleNamespace(cache={}, store=None)


def asking(*texts, revision=1):
    inline = [Prompt(id=str(place), prompt=text).model_dump(mode="json") for place, text in enumerate(texts)]
    return {"analysis": {"id": "anl_1", "revision": revision, "spec": {"prompts": {"inline": inline}}}}


def test_the_prompts_of_a_request_are_made_once(context):
    first = prompts_of(asking("1+1="), context)
    assert prompts_of(asking("1+1="), context) is first
    assert [prompt.text for prompt in first] == ["1+1="]


def test_another_request_has_its_own(context):
    prompts_of(asking("1+1="), context)
    assert [prompt.text for prompt in prompts_of(asking("2+2=", revision=2), context)] == ["2+2="]


def test_imported_sides_bring_their_own(context):
    prompts_of(asking("1+1="), context)
    assert (
        prompts_of({"analysis": {"id": "anl_2", "revision": 1, "spec": {"prompts": None}}}, context) is None
    )
