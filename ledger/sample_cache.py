"""Samples that another analysis of the same tenant has drawn already: what to read instead of drawing again.

An entry says which samples a shard drew, under a key made of everything a request says of them. It only finds
candidates: whoever reads the artefact compares the stream key in its rows, which is made of the rendered
prompt itself. The reader copies the rows into an artefact of its own, so that no analysis needs the files of
another, and deleting one takes nothing from the rest.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from ledger.states import ShardState
from ledger.tables import drawn_samples, shards

Range = tuple[int, int]
"""Samples from the first up to, without, the second."""

DIGESTS: Final = ("weights_digest", "adapter_digest", "tokenizer_digest")


def draw_key(
    spec: Mapping[str, Any],
    *,
    stream: str,
    participant: Mapping[str, Any],
    model: Mapping[str, Any],
    prompt: Mapping[str, Any],
) -> str:
    """Name what a participant draws for a prompt, as 64 hex digits.

    Args:
        spec: The request with every default filled in; its policy and seed count.
        stream: The stream's name.
        participant: The request's description of who draws; the model's id and place do not count.
        model: The model's digests.
        prompt: The request's prompt; its id, answers and labels do not count.
    """
    named = {name: value for name, value in participant.items() if name not in ("source", "model")}
    parts = {
        "digests": [model[name] for name in DIGESTS],
        "participant": named,
        "prompt": [prompt.get("prompt"), prompt.get("messages")],
        "policy": spec["policy"],
        "seed": spec["seed"],
        "stream": stream,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def remember(conn: Connection, shard: Mapping[str, Any], drawn: Sequence[tuple[str, int, int]]) -> None:
    """Enter what a sample shard drew, in the transaction that makes it DONE.

    Args:
        conn: That transaction.
        shard: Its row.
        drawn: Draw keys with ranges of samples.
    """
    # A request may hold a prompt twice, and both draw the same.
    ends: dict[tuple[str, int], int] = {}
    for key, lo, hi in drawn:
        ends[key, lo] = max(hi, ends.get((key, lo), hi))
    entries = [
        {"tenant_id": shard["tenant_id"], "shard_id": shard["id"], "draw_key": key, "lo": lo, "hi": hi}
        for (key, lo), hi in ends.items()
    ]
    if entries:
        conn.execute(insert(drawn_samples), entries)


def find(conn: Connection, tenant_id: str, wanted: Mapping[str, Range]) -> list[dict[str, Any]]:
    """Committed artefacts of the tenant that hold some of the samples wanted.

    Args:
        conn: A transaction.
        tenant_id: Whose samples may be read.
        wanted: Ranges by draw key.

    Returns:
        ``{artefact_key, sha256}`` of each, the oldest first, none that would add nothing.
    """
    missing = {key: set(range(low, high)) for key, (low, high) in wanted.items()}
    sources: dict[str, dict[str, Any]] = {}
    for row in _entries(conn, tenant_id, wanted):
        held = missing[row.draw_key] & set(range(row.lo, row.hi))
        if held:
            missing[row.draw_key] -= held
            found = {"artefact_key": row.artefact_key, "sha256": row.artefact_sha256}
            sources.setdefault(row.artefact_key, found)
    return list(sources.values())


def count_present(conn: Connection, tenant_id: str, wanted: Mapping[str, Range]) -> int:
    """How many of the samples wanted need not be drawn.

    Args:
        conn: A transaction.
        tenant_id: Whose samples may be read.
        wanted: Ranges by draw key.
    """
    present: dict[str, set[int]] = {key: set() for key in wanted}
    for row in _entries(conn, tenant_id, wanted):
        low, high = wanted[row.draw_key]
        present[row.draw_key] |= set(range(max(low, row.lo), min(high, row.hi)))
    return sum(map(len, present.values()))


def _entries(conn: Connection, tenant_id: str, wanted: Mapping[str, Range]) -> list[Any]:
    rows: list[Any] = []
    keys = sorted(wanted)
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        query = (
            select(
                drawn_samples.c.draw_key,
                drawn_samples.c.lo,
                drawn_samples.c.hi,
                shards.c.artefact_key,
                shards.c.artefact_sha256,
            )
            .join(shards, shards.c.id == drawn_samples.c.shard_id)
            .where(
                drawn_samples.c.tenant_id == tenant_id,
                drawn_samples.c.draw_key.in_(keys[start : start + _KEYS_AT_ONCE]),
                shards.c.state == ShardState.DONE.value,
                shards.c.artefact_key.is_not(None),
            )
            .order_by(shards.c.finished_at, drawn_samples.c.lo)
        )
        rows += conn.execute(query).all()
    return rows


_KEYS_AT_ONCE: Final = 500
"""Parameters of one statement: SQLite's oldest limit is 999."""
