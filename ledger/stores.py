"""Where artefacts are kept: one port, on a local disk or in an object store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ledger.artefacts import ArtefactStore, Stored


class Store(Protocol):
    """Immutable files under names that are given once.

    Every method may raise `ledger.errors.StoreUnavailable`: full, read-only or away. Then nothing of a new
    artefact is visible, and what is there stays as it is.
    """

    def put(self, key: str, data: bytes | Path) -> Stored:
        """Store bytes, or a copy of a file, under a new name: all of it or nothing is visible.

        Raises:
            InvalidKey: if the key could leave the store.
            ArtefactConflict: if the key already holds other bytes.
        """
        ...

    def open_verified(self, key: str, sha256: str) -> bytes:
        """The bytes of an artefact.

        Raises:
            InvalidKey: if the key could leave the store.
            ArtefactMissing: if it is not there.
            ArtefactCorrupt: if its bytes do not have the hash.
        """
        ...

    def path_of(self, key: str) -> Path:
        """A local file with the artefact's bytes, not verified; it need not exist if the artefact does not.

        Raises:
            InvalidKey: if the key could leave the store.
        """
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Delete everything below ``prefix``, such as ``tenant/analysis``; how many files that were."""
        ...

    def keys_older_than(self, seconds: float) -> Iterator[str]:
        """Names of the artefacts last written more than ``seconds`` ago, by the host's clock."""
        ...

    def delete(self, key: str) -> None:
        """Delete one artefact, if it is there."""
        ...

    def sweep_temporaries(self, older_than_seconds: float) -> int:
        """Delete what dead writers left behind; how many files that were."""
        ...

    def check_writable(self, min_free_bytes: int) -> None:
        """Raise `ledger.errors.StoreUnavailable` unless an artefact could be stored now."""
        ...


def open_store(address: str, folder: Path) -> Store:
    """The store at an address.

    Args:
        address: ``s3://bucket/prefix``, with credentials and endpoint in the usual ``AWS_…`` variables; empty
            is a local disk.
        folder: Where artefacts lie on the local disk; for an object store, where copies of what was read lie.

    Raises:
        ValueError: if the address is neither.
    """
    if not address:
        return ArtefactStore(folder)
    if not address.startswith("s3://"):
        raise ValueError(f"not an address of an artefact store: {address!r}; expected s3://bucket/prefix")
    from ledger.object_store import ObjectStore

    return ObjectStore(address, folder)
