"""The requests of the analyses that a supervisor is busy with, each read once."""

from collections import OrderedDict
from typing import Any

from sqlalchemy import Engine

from ledger import requests
from ledger.database import read
from ledger.shards import Claim
from workers.errors import AnalysisFault
from workers.host.known_requests import KEPT


class Requests:
    """Reads requests from the ledger and keeps the last ones: that of a revision never changes.

    For one thread: each supervisor of a worker has its own.

    Args:
        engine: The ledger.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: OrderedDict[tuple[str, int], dict[str, Any]] = OrderedDict()

    def of(self, claim: Claim) -> dict[str, Any]:
        """The request under which a shard was claimed.

        Raises:
            AnalysisFault: the analysis is gone, and the lease with it.
        """
        analysis_id, revision = key = (claim.analysis["id"], claim.analysis["revision"])
        found = self._known.pop(key, None)
        if found is None:
            with read(self._engine) as conn:
                found = requests.of_revision(conn, analysis_id, revision)
        if found is None:
            raise AnalysisFault("analysis_deleted", f"the analysis {analysis_id} was deleted")
        self._known[key] = found
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found
