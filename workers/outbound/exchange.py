"""One HTTP exchange with a checked address: no redirect, no proxy, bounded in time and length."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from workers.errors import WorkerError
from workers.outbound.address import Target


class Unreached(WorkerError):
    """No answer came; the message says what failed, without any address."""

    code = "endpoint_unreached"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status; a redirect is an answer like others.
        retry_after: Seconds that `Retry-After` asks for; None without, or if it names a date.
        body: The first bytes of the body.
        is_whole: Whether that is all of it.
    """

    status: int
    retry_after: int | None
    body: bytes = field(repr=False)
    is_whole: bool

    @property
    def is_redirect(self) -> bool:
        """Whether the answer sends us elsewhere, where we do not go."""
        return 300 <= self.status < 400


def post(
    target: Target, *, headers: Mapping[str, str], content: bytes, seconds: float, max_bytes: int
) -> Answer:
    """POST to the address that was checked, under the name that was asked for.

    TLS names and verifies the host, not the address. Must not be called where an event loop runs.

    Args:
        target: Where.
        headers: Beside Host.
        content: The body.
        seconds: For everything from the connection to the last byte: one that drips cannot last longer.
        max_bytes: Of the answer's body that are read; the connection is then closed.

    Raises:
        Unreached: no connection, no HTTP, or not in time.
    """
    return asyncio.run(_post(target, dict(headers), content, seconds, max_bytes))


async def _post(
    target: Target, headers: dict[str, str], content: bytes, seconds: float, max_bytes: int
) -> Answer:
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(timeout=seconds, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "POST",
                target.url,
                content=content,
                # Uncompressed: a short body could otherwise inflate a thousandfold before it is cut.
                headers={**headers, "Host": target.host_header, "Accept-Encoding": "identity"},
                extensions={"sni_hostname": target.host},
            ) as response,
        ):
            body, is_whole = await _beginning(response, max_bytes)
    except TimeoutError:
        raise Unreached(f"no full answer within {seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreached(f"could not be reached ({type(error).__name__})") from None
    asked = response.headers.get("Retry-After", "")
    # Nine digits are thirty years: more would only overflow somewhere.
    retry_after = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None
    return Answer(response.status_code, retry_after, body, is_whole)


async def _beginning(response: httpx.Response, max_bytes: int) -> tuple[bytes, bool]:
    """Up to that many bytes of the body as they come, and whether there are no more."""
    data = b""
    async for part in response.aiter_raw():
        data += part
        if len(data) > max_bytes:
            return data[:max_bytes], False
    return data, True
