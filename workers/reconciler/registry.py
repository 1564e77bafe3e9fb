"""Filling the ledger's models table from a folder."""

from pathlib import Path

import structlog
from sqlalchemy import Engine

from ledger import models
from ledger.database import write
from workers.reconciler.model_folder import Record, adapter_record, is_adapter, is_candidate, model_record
from workers.settings import TENANT

Fingerprint = tuple[tuple[str, int, int, int], ...]

log = structlog.get_logger(__name__)


class Registry:
    """Scans a folder of model folders; hashes only what changed.

    Args:
        engine: The ledger.
        root: The folder.
    """

    def __init__(self, engine: Engine, root: Path) -> None:
        self._engine = engine
        self._root = root
        self._seen: dict[str, Fingerprint] = {}
        self._records: dict[str, Record] = {}
        self._unsaved: dict[str, Record] = {}
        self._recorded: set[str] | None = None
        self._is_first = True

    def scan(self) -> int:
        """Bring the table up to date.

        Returns:
            How many entries changed.

        Raises:
            OSError: if the folder itself cannot be read; nothing is marked missing for that.
        """
        if self._is_first:
            with write(self._engine) as conn:
                models.forget_other_scans(conn, TENANT, str(self._root))
            self._is_first = False
        folders = {folder.name: folder for folder in sorted(self._root.iterdir()) if is_candidate(folder)}
        gone = self._records.keys() - folders.keys()
        for name in gone:
            del self._records[name], self._seen[name]
            self._unsaved.pop(name, None)
        self._read_changed(folders, rebased=bool(gone))
        changed, present = dict(self._unsaved), set(self._records)
        if changed or present != self._recorded:
            self._record(changed, present)
            self._unsaved.clear()
            self._recorded = present
            log.info("registry_scanned", models=len(present), changed=sorted(changed), gone=sorted(gone))
        return len(changed) + len(gone)

    def _read_changed(self, folders: dict[str, Path], *, rebased: bool) -> None:
        # Adapters after models: each needs its base's record.
        for name, folder in sorted(folders.items(), key=lambda item: is_adapter(item[1])):
            found = fingerprint(folder)
            adapts = is_adapter(folder)
            if self._seen.get(name) == found and not (adapts and rebased):
                continue
            record = self._record_of(folder, adapts=adapts)
            if fingerprint(folder) != found:
                continue  # still being written: what was hashed is neither old nor new
            self._seen[name] = found
            if self._records.get(name) != record:
                self._records[name] = self._unsaved[name] = record
                rebased = True

    def _record_of(self, folder: Path, *, adapts: bool) -> Record:
        if adapts:
            return adapter_record(folder, self._root, self._records)
        return model_record(folder, self._root)

    def _record(self, changed: dict[str, Record], present: set[str]) -> None:
        with write(self._engine) as conn:
            for record in changed.values():
                models.upsert(conn, TENANT, record)
            models.mark_missing(conn, TENANT, present)
            models.record_scan(conn, TENANT, str(self._root))


def fingerprint(folder: Path) -> Fingerprint:
    """Names, sizes and times of the files in a folder: equal if nothing was written in between."""
    found = []
    for file in sorted(folder.iterdir()):
        try:
            about = file.stat()
        except FileNotFoundError:  # a link to nothing, or just removed
            found.append((file.name, -1, -1, -1))
            continue
        found.append((file.name, about.st_size, about.st_mtime_ns, about.st_ctime_ns))
    return tuple(found)
