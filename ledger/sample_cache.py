"""Samples that another analysis of the same tenant has drawn already: what to read instead of drawing again.

An entry says which samples a shard drew, under a key made of everything a request says of them. It only finds
candidates: whoever reads the artefact compares the stream key in its rows, which is made of the rendered
prompt itself. The reader copies the rows into an artefact of its own, so that no analysis needs the files of
another, and deleting one takes nothing from the rest.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
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
        participant: The request's description of who draws; neither the model's id and place nor a
            checkpoint's step counts.
        model: The model's digests.
        prompt: The request's prompt; its id, answers and labels do not count.
    """
    named = {name: value for name, value in participant.items() if name not in ("source", "model", "step")}
    parts = {
        "digests": [model[name] for name in DIGESTS],
        "participant": named,
        "prompt": [prompt.get("prompt"), prompt.get("messages")],
        "policy": spec["policy"],
        "seed": spec["seed"],
        "stream": stream,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def draw_keys(
    spec: Mapping[str, Any],
    stream: str,
    *,
    weights: Sequence[str],
    model: Mapping[str, Any],
    prompts: Iterable[int],
) -> list[str]:
    """Draw keys of a stream for prompts of a request.

    Args:
        spec: The request with every default filled in.
        stream: The stream's name.
        weights: Key of the model that draws, as its shards name it: an arm draws with a side's.
        model: Digests of the stream's own model; of the reference's, where it has none.
        prompts: Indices of the prompts.
    """
    name, declared = _drawn_as(spec, stream)
    participant = {"weights": list(weights), **declared}
    return [
        draw_key(spec, stream=name, participant=participant, model=model, prompt=_prompt(spec, index))
        for index in prompts
    ]


def model_key(model: Mapping[str, Any]) -> str:
    """What shards name a model by."""
    weights, adapter = model["weights_digest"], model["adapter_digest"]
    return str(weights) if adapter is None else f"{weights}+{adapter}"


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


def count_present(conn: Connection, tenant_id: str, wanted: Mapping[str, Range]) -> dict[str, int]:
    """How many of the samples wanted need not be drawn, by draw key.

    Args:
        conn: A transaction.
        tenant_id: Whose samples may be read.
        wanted: Ranges by draw key.
    """
    counts = dict.fromkeys(wanted, 0)
    reached = {key: low for key, (low, _) in wanted.items()}
    for row in sorted(_entries(conn, tenant_id, wanted), key=lambda row: int(row.lo)):
        key, last = row.draw_key, min(wanted[row.draw_key][1], row.hi)
        counts[key] += max(0, last - max(reached[key], row.lo))
        reached[key] = max(reached[key], last)
    return counts


def _drawn_as(spec: Mapping[str, Any], stream: str) -> tuple[str, Mapping[str, Any]]:
    """Whose draws a stream's are, and how the request describes who draws.

    A checkpoint of a trajectory draws what it draws as the candidate of an analysis of its own.
    """
    side, _, number = stream.partition(":")
    if side == "candidate" and number:
        return side, spec["candidates"][int(number)]
    return stream, spec.get(stream) or {}


def _prompt(spec: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    """The prompt of an index, or, from a data set, which never changes, where it is."""
    inline = spec["prompts"].get("inline")
    found: Mapping[str, Any] = (
        inline[index] if inline else {"prompt": [spec["prompts"].get("dataset"), index]}
    )
    return found


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
