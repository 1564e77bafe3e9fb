"""Which requests a host knows: a run brings that of its analysis only if the host has not got it.

Both ends of the pipe keep count in the order of the runs. A host that died knows nothing, and the next one is
told anew.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from workers.host.protocol import Message

KEPT: Final = 4
"""Analyses whose shards a worker runs in turn: the largest request takes tens of MB once parsed."""


def request_name(message: Mapping[str, Any]) -> str:
    """What tells the request of a `run` message from all others: one of a revision never changes."""
    return f"{message['analysis']['id']}/{message['analysis']['revision']}"


class Told:
    """The supervisor's end: what one host was told, `KEPT` requests at most."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def shortened(self, message: Message) -> Message:
        """The message as the host needs to hear it, which is then to be sent."""
        name = request_name(message)
        known = name in self._names
        self._names[name] = None
        self._names.move_to_end(name)
        if known:
            analysis = {field: value for field, value in message["analysis"].items() if field != "spec"}
            return {**message, "analysis": analysis}
        if len(self._names) > KEPT:
            return {**message, "forget": self._names.popitem(last=False)[0]}
        return message


class Heard:
    """The host's end: the requests it was told."""

    def __init__(self) -> None:
        self._requests: dict[str, dict[str, Any]] = {}

    def completed(self, message: Message) -> Message:
        """The message with the request of its analysis."""
        name, analysis = request_name(message), message["analysis"]
        self._requests.pop(message.get("forget", ""), None)
        if "spec" in analysis:
            self._requests[name] = analysis["spec"]
        return {**message, "analysis": {**analysis, "spec": self._requests[name]}}
