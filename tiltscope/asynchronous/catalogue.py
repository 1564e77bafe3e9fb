"""What the service has on offer: models and verifiers."""

from tiltscope.asynchronous.pages import Pages
from tiltscope.asynchronous.transport import Transport
from tiltscope.connection import Call
from tiltscope.documents import Model, ModelList, Readiness, SignalDescription, SignalList


class Models:
    """`client.models`: the registry."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, limit: int | None = None) -> Pages[Model]:
        """The models that analyses may name, by id."""
        return Pages(self._transport, Call("GET", "/v1/models"), ModelList, lambda page: page.data, limit)

    async def get(self, model_id: str) -> Model:
        """One model: its digests, its size, its tokenizer."""
        return await self._transport.document(Call("GET", f"/v1/models/{model_id}"), Model)


class Signals:
    """`client.signals`: the verifiers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Pages[SignalDescription]:
        """The verifiers on offer and the JSON Schemas of their settings."""
        call = Call("GET", "/v1/signals")
        return Pages(self._transport, call, SignalList, lambda page: page.data, paged=False)


async def readiness(transport: Transport) -> Readiness:
    """What the service needs, part by part, whether or not it is ready."""
    response = await transport.send(Call("GET", "/readyz"), accept=frozenset({503}))
    return Readiness.model_validate_json(response.content)
