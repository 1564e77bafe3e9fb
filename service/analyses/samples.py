"""Paging through what was sampled: only the blocks that hold a page's samples are read."""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from api_schemas.samples import Outcome, SampleList
from service.analyses.outcomes import open_outcomes
from service.analyses.results import SAMPLES, SAMPLES_INDEX
from service.cursors import decode, encode
from service.resources import Resources
from service.stored_files import StoredFile, checked, unreadable

Block = Mapping[str, Any]
Row = dict[str, Any]

REMEMBERED_INDEXES: Final = 8
"""Parsed indexes kept: a client pages through one list for minutes, and an index may have megabytes."""


@dataclass(frozen=True, slots=True)
class SampleFilter:
    """Which samples are wanted; None is any."""

    prompt_id: str | None = None
    side: str | None = None
    outcome: Outcome | None = None

    def may_hold(self, block: Block) -> bool:
        """Whether a block has any sample that passes."""
        return (
            self.prompt_id in (None, block["prompt_id"])
            and self.side in (None, block["side"])
            and (self.outcome is None or self.outcome in block["outcomes"])
        )

    def passes(self, row: Row) -> bool:
        """Whether a sample of such a block passes."""
        return self.outcome in (None, row["outcome"])


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one analysis.

    Attributes:
        pages: The file of blocks; each block is checked when it is read.
        blocks: Where each is and what it holds.
        sha256: Hash that names this version of the samples.
    """

    pages: StoredFile
    blocks: tuple[Block, ...]
    sha256: str

    def rows(self, wanted: SampleFilter, block: int = 0, row: int = 0) -> Iterator[tuple[int, int, Row]]:
        """The samples that pass, each behind its block and its place there, from a place on.

        Raises:
            ArtifactUnreadable: a block does not have the recorded hash.
        """
        for number in range(block, len(self.blocks)):
            if not wanted.may_hold(self.blocks[number]):
                continue
            for place, found in enumerate(_lines(self.pages.path, self.blocks[number])):
                if (number, place) >= (block, row) and wanted.passes(found):
                    yield number, place, found


def open_samples(resources: Resources, analysis_id: str) -> Samples:
    """The samples of an analysis.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
        ArtifactUnreadable: the index does not have the recorded hash.
    """
    index, pages = open_outcomes(resources, analysis_id, SAMPLES_INDEX, SAMPLES)
    checked(index)
    return Samples(pages, _blocks(index.path, index.sha256), index.sha256)


def samples_page(
    resources: Resources, analysis_id: str, *, limit: int, after: str | None, wanted: SampleFilter
) -> SampleList:
    """A page of samples, by side, prompt and draw.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
        ValidationFailed: `after` is no cursor of this list.
        ArtifactUnreadable: what is stored is not what was stored.
    """
    samples = open_samples(resources, analysis_id)
    listing = {
        "route": "samples",
        "samples": samples.sha256,
        "prompt_id": wanted.prompt_id,
        "side": wanted.side,
        "outcome": wanted.outcome,
    }
    block, row = decode(after, listing, (int, int)) or (0, 0)
    data: list[Row] = []
    for number, place, found in samples.rows(wanted, max(block, 0), max(row, 0)):
        if len(data) == limit:
            cursor = encode((number, place), listing)
            return SampleList.model_validate(
                {"object": "list", "data": data, "has_more": True, "next_cursor": cursor}
            )
        data.append(found)
    return SampleList.model_validate({"object": "list", "data": data, "has_more": False, "next_cursor": None})


@lru_cache(maxsize=REMEMBERED_INDEXES)
def _blocks(path: Path, _sha256: str) -> tuple[Block, ...]:
    return tuple(json.loads(path.read_bytes())["blocks"])


def _lines(path: Path, block: Block) -> Iterator[Row]:
    try:
        with path.open("rb") as file:
            file.seek(block["offset"])
            member = file.read(block["bytes"])
    except FileNotFoundError as error:
        raise unreadable("is gone") from error
    if hashlib.sha256(member).hexdigest() != block["sha256"]:
        raise unreadable("was altered after it was stored")
    text = zlib.decompress(member, wbits=zlib.MAX_WBITS | 16)
    # Not splitlines: the JSON keeps U+2028 and its like as they are.
    for line in text.split(b"\n")[:-1]:
        yield json.loads(line)
