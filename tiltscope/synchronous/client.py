# Generated from tiltscope/asynchronous by `make openapi`: change that, not this file.
"""The blocking client."""

from types import TracebackType

import httpx

from tiltscope.connection import TIMEOUT
from tiltscope.documents import Readiness
from tiltscope.retries import Retries
from tiltscope.synchronous.analyses import Analyses
from tiltscope.synchronous.catalogue import Models, Signals, readiness
from tiltscope.synchronous.comparisons import Comparisons
from tiltscope.synchronous.datasets import Datasets
from tiltscope.synchronous.imports import Imports
from tiltscope.synchronous.transport import Transport


class Tiltscope:
    """An blocking client of one service, as a context manager.

    Args:
        url: The service's address; TILTSCOPE_URL by default, else the embedded service's.
        api_key: TILTSCOPE_API_KEY by default; a service on loopback needs none.
        retries: When to send a request again; idempotency keys make that safe.
        timeout: Seconds, or an httpx timeout.
        http: An httpx client of your own (proxies, certificates); you close it.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        retries: Retries | None = None,
        timeout: float | httpx.Timeout = TIMEOUT,
        http: httpx.Client | None = None,
    ) -> None:
        self._transport = Transport(url, api_key=api_key, retries=retries, timeout=timeout, http=http)
        self.url = self._transport.url
        self.analyses = Analyses(self._transport)
        self.comparisons = Comparisons(self._transport)
        self.datasets = Datasets(self._transport)
        self.imports = Imports(self._transport)
        self.models = Models(self._transport)
        self.signals = Signals(self._transport)

    def __enter__(self) -> "Tiltscope":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def readiness(self) -> Readiness:
        """What the service needs, part by part, whether or not it is ready."""
        return readiness(self._transport)
