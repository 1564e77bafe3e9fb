"""Files that a shard stores, under names that no other attempt can have."""

from collections.abc import Mapping
from typing import Any

from workers.host.context import HostContext


def store_file(message: Mapping[str, Any], context: HostContext, name: str, data: bytes) -> dict[str, Any]:
    """Store bytes for the shard of a `run` message; where they are, their hash and their size."""
    row, claim = message["shard"], message["claim"]
    place = f"{row['tenant_id']}/{row['analysis_id']}"
    stored = context.store.put(
        f"{place}/r{row['round']:03d}-s{row['idx']:05d}-{name}.e{claim['epoch']}", data
    )
    return {"key": stored.key, "sha256": stored.sha256, "bytes": stored.bytes}
