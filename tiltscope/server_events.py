"""Server-sent events of an analysis (HTML standard, section 9.2), line by line."""

import json
from dataclasses import dataclass
from typing import Any

FIRST_RETRY_SECONDS = 1.0
"""Until the stream says how long to wait before coming back."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of an analysis.

    Attributes:
        id: Its number within the analysis: 1, 2, ... without gaps.
        type: `status`, `progress`, `round`, `warning`, `extended` or `done`; `ended` is the end of before an
            extension.
        data: Its body.
    """

    id: int
    type: str
    data: dict[str, Any]


class EventReader:
    """Puts lines together to events, over several connections.

    Attributes:
        last_id: Number of the last event, 0 before the first: what `Last-Event-ID` takes.
        retry_seconds: How long the stream asks to wait before coming back.
        has_seen_all: Whether there is nothing to come back for: `done` was seen, or the service said so.
    """

    def __init__(self, last_id: int = 0) -> None:
        self.last_id = last_id
        self.retry_seconds = FIRST_RETRY_SECONDS
        self.has_seen_all = False
        self._fields: dict[str, list[str]] = {}

    def connected(self) -> None:
        """Forget half an event: the new connection sends it whole."""
        self._fields = {}

    def feed(self, line: str) -> Event | None:
        """Take the next line; the event that it completes, unless that was seen before."""
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        if name:  # a line that starts with a colon is a comment
            self._fields.setdefault(name, []).append(value.removeprefix(" "))
        if name == "retry" and value.strip().isdecimal():
            self.retry_seconds = int(value) / 1000
        return None

    def _dispatch(self) -> Event | None:
        fields, self._fields = self._fields, {}
        number = fields.get("id", [""])[-1]
        if "data" not in fields or not number.isdecimal() or int(number) <= self.last_id:
            return None
        self.last_id = int(number)
        event = Event(
            self.last_id, fields.get("event", ["message"])[-1], json.loads("\n".join(fields["data"]))
        )
        self.has_seen_all = event.type == "done"
        return event
