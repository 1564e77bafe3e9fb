# Generated from tiltscope/asynchronous by `make openapi`: change that, not this file.
"""Requests over httpx, sent again when that can help."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx
from pydantic import BaseModel

from tiltscope.connection import TIMEOUT, Call, default_headers, parsed, service_url, unreachable
from tiltscope.problems import service_error
from tiltscope.retries import Retries

D = TypeVar("D", bound=BaseModel)


class Transport:
    """One service at one address.

    Args:
        url: Its address; TILTSCOPE_URL, else the embedded service's.
        api_key: TILTSCOPE_API_KEY by default.
        retries: When to send a request again.
        timeout: Seconds, or an httpx timeout.
        http: An httpx client of the caller's, who then closes it.
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
        self.url = service_url(url)
        self.retries = retries or Retries()
        self._headers = default_headers(api_key)
        self._http = http or httpx.Client(timeout=timeout)
        self._is_ours = http is None
        self._has_answered = False

    def close(self) -> None:
        """Close the connections."""
        if self._is_ours:
            self._http.close()

    def document(self, call: Call, document: type[D]) -> D:
        """Send a request and read its answer.

        Raises:
            ServiceError: the service refused.
            UnreachableError: nobody answered.
            ContractError: the answer is not what the contract promises.
        """
        return parsed(self.send(call), document)

    def send(self, call: Call, *, accept: frozenset[int] = frozenset()) -> httpx.Response:
        """Send a request; the answer's body has been read. Error statuses in `accept` are answers too.

        Raises:
            ServiceError: the service refused.
            UnreachableError: nobody answered.
        """
        response = self._persist(self._request(call, None), accept, stream=False)
        if response.is_error and response.status_code not in accept:
            raise service_error(response)
        return response

    @contextmanager
    def open(self, call: Call, *, timeout: httpx.Timeout | None = None) -> Iterator[httpx.Response]:
        """Send a request and leave its answer's body to be streamed.

        Raises:
            ServiceError: the service refused.
            UnreachableError: nobody answered.
            httpx.TransportError: the connection broke within the body.
        """
        response = self._persist(self._request(call, timeout), frozenset(), stream=True)
        try:
            if response.is_error:
                response.read()
                raise service_error(response)
            yield response
        finally:
            response.close()

    def _request(self, call: Call, timeout: httpx.Timeout | None) -> httpx.Request:
        arguments = call.arguments()
        arguments["url"] = f"{self.url}{call.path}"
        arguments["headers"] = self._headers | arguments["headers"]
        request = self._http.build_request(**arguments)
        if timeout is not None:
            request.extensions["timeout"] = timeout.as_dict()
        return request

    def _persist(self, request: httpx.Request, accept: frozenset[int], *, stream: bool) -> httpx.Response:
        tries = 0
        while True:
            tries += 1
            outcome = self._try(request, stream=stream)
            pause = self.retries.pause(tries, outcome)
            if isinstance(outcome, httpx.Response):
                if pause is None or outcome.status_code in accept:
                    return outcome
                outcome.close()
            elif pause is None or not self._has_answered:
                # Where nobody ever answered, the address is wrong or the service is not up.
                raise unreachable(self.url, outcome) from outcome
            time.sleep(pause)

    def _try(self, request: httpx.Request, *, stream: bool) -> httpx.Response | httpx.TransportError:
        try:
            response = self._http.send(request, stream=stream)
        except httpx.TransportError as error:
            return error
        self._has_answered = True
        return response
