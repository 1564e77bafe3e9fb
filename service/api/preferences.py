"""`Prefer: wait` (RFC 7240), `If-None-Match` and `If-Match` (RFC 9110)."""

import re
from typing import Annotated, Final

import anyio
from fastapi import Depends, Header, Request
from starlette.concurrency import run_in_threadpool

from api_schemas.analyses import LIVE, Analysis
from api_schemas.problems import FieldProblem
from service.analyses import read
from service.errors import InvalidHeader, NotFound
from service.resources import Resources
from service.settings import Settings

ANALYSIS_TAG: Final = re.compile(r'(?:W/)?"([0-9]{1,18})(?:-[0-9]+-[0-9]+)?"')
WAIT: Final = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?', re.IGNORECASE)


async def _wait_seconds(
    request: Request,
    prefer: Annotated[
        str | None,
        Header(
            description="`wait=N` answers once the analysis has ended, or after N seconds; N is at most 60.",
            examples=["wait=30"],
        ),
    ] = None,
) -> int | None:
    settings: Settings = request.app.state.settings
    for preference in ",".join(request.headers.getlist("prefer")).split(","):
        if match := WAIT.fullmatch(preference.split(";")[0].strip()):
            return min(int(match[1]), settings.max_wait_seconds)
    return None


Wait = Annotated[int | None, Depends(_wait_seconds)]


async def settled(
    request: Request, resources: Resources, analysis: Analysis, seconds: int | None
) -> Analysis:
    """The analysis as it is when it has ended, or the time is up, or nobody waits any more."""
    if seconds is None:
        return analysis
    with anyio.move_on_after(seconds):
        while analysis.status in LIVE and not await request.is_disconnected():
            if await run_in_threadpool(read.is_settled, resources, analysis.id):
                break
            await anyio.sleep(resources.settings.wait_poll_seconds)
    try:
        return await run_in_threadpool(read.get, resources, analysis.id)
    except NotFound:
        return analysis  # deleted meanwhile: what was accepted is all there is to tell


def meant_versions(if_match: str | None) -> frozenset[int] | None:
    """Versions of an analysis that `If-Match` accepts; None is any, for `*` and without the header.

    The version in an analysis's tag is what counts: its progress, which the tag has too, is no edit that a
    change could overwrite.

    Raises:
        InvalidHeader: it names no tag of an analysis.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [ANALYSIS_TAG.fullmatch(tag.strip()) for tag in if_match.split(",")]
    if not all(tags):
        fault = FieldProblem(detail='take the `ETag` of the analysis as it is, or "*"', parameter="If-Match")
        raise InvalidHeader("If-Match takes the ETag of an analysis", errors=[fault])
    return frozenset(int(tag[1]) for tag in tags if tag)


def names(if_none_match: str | None, entity_tag: str) -> bool:
    """Whether `If-None-Match` names a tag, compared weakly."""
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or entity_tag.removeprefix("W/") in tags
