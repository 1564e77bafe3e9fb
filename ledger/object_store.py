"""Immutable files in an S3-compatible object store."""

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import S3Store

from ledger.artefacts import Stored, require_key
from ledger.errors import ArtefactConflict, ArtefactCorrupt, ArtefactMissing, StoreUnavailable

_NOWHERE: Final = "_probe/"
"""A prefix that holds nothing."""

# obstore raises the built-in ones where it can.
_NOT_FOUND: Final = (NotFoundError, FileNotFoundError)
_EXISTS: Final = (AlreadyExistsError, FileExistsError)
_TIMEOUT: Final = "20s"
"""For one exchange: within a lease, which another thread renews meanwhile."""


class ObjectStore:
    """Artefacts below a prefix of a bucket.

    A name is given once by a conditional write (``If-None-Match: *``): an upload becomes visible whole, and
    the second writer of a name is refused.

    Args:
        address: ``s3://bucket/prefix``.
        copies: Folder for local copies of what was read by path.
    """

    def __init__(self, address: str, copies: Path) -> None:
        self.root = copies
        # Whoever names an endpoint without TLS means it: a server on the same private network.
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        self._store = S3Store.from_url(
            address,
            client_options={"timeout": _TIMEOUT, "connect_timeout": "5s", "allow_http": plain},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        )

    def put(self, key: str, data: bytes | Path) -> Stored:
        """See `ledger.stores.Store.put`."""
        require_key(key)
        content = data if isinstance(data, bytes) else data.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        with _translated():
            try:
                obstore.put(self._store, key, content, mode="create", use_multipart=False)
            except _EXISTS:
                # It may be our own first try, whose answer was lost.
                if hashlib.sha256(self._read(key)).hexdigest() != digest:
                    raise ArtefactConflict(f"{key} already holds other bytes") from None
        return Stored(key=key, sha256=digest, bytes=len(content))

    def open_verified(self, key: str, sha256: str) -> bytes:
        """See `ledger.stores.Store.open_verified`."""
        require_key(key)
        with _translated():
            content = self._read(key)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ArtefactCorrupt(f"{key} does not have the recorded hash")
        return content

    def path_of(self, key: str) -> Path:
        """See `ledger.stores.Store.path_of`: a copy made at the first call."""
        require_key(key)
        copy = self.root / key
        if not copy.is_file():
            with contextlib.suppress(ArtefactMissing), _translated():
                content = self._read(key)
                copy.parent.mkdir(parents=True, exist_ok=True)
                temporary = copy.with_name(f".{uuid4().hex}")
                temporary.write_bytes(content)
                os.replace(temporary, copy)
        return copy

    def delete_prefix(self, prefix: str) -> int:
        """See `ledger.stores.Store.delete_prefix`."""
        require_key(prefix)
        with _translated():
            keys = [entry["path"] for page in obstore.list(self._store, f"{prefix}/") for entry in page]
            if keys:
                obstore.delete(self._store, keys)
        return len(keys)

    def keys_older_than(self, seconds: float) -> Iterator[str]:
        """See `ledger.stores.Store.keys_older_than`."""
        before = datetime.now(UTC) - timedelta(seconds=seconds)
        with _translated():
            for page in obstore.list(self._store):
                yield from (entry["path"] for entry in page if entry["last_modified"] < before)

    def delete(self, key: str) -> None:
        """See `ledger.stores.Store.delete`."""
        require_key(key)
        with _translated(), contextlib.suppress(*_NOT_FOUND):
            obstore.delete(self._store, key)

    def sweep_temporaries(self, older_than_seconds: float) -> int:
        """Delete local copies that nobody read for that long."""
        before, count = time.time() - older_than_seconds, 0
        for path in list(self.root.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                if path.is_file() and max(about.st_mtime, about.st_atime) < before:
                    path.unlink()
                    count += 1
        return count

    def check_writable(self, min_free_bytes: int) -> None:
        """See `ledger.stores.Store.check_writable`: whether the bucket answers; space is its own affair."""
        with _translated():
            list(obstore.list(self._store, _NOWHERE))

    def _read(self, key: str) -> bytes:
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except _NOT_FOUND as error:
            raise ArtefactMissing(f"{key} is not in the store") from error


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Whatever else the store or the disk of copies says becomes `StoreUnavailable`."""
    try:
        yield
    except (BaseError, OSError) as error:
        # Only its kind: the text may quote the request, signature and all.
        raise StoreUnavailable(f"the object store does not answer: {type(error).__name__}") from error
