"""The host's end of the pipes."""

import os
import queue
import sys
import threading
from typing import BinaryIO

from workers.host.known_requests import Heard
from workers.host.lifeline import end_process_group
from workers.host.protocol import ABORT, RUN, Message, decode, encode


class Channel:
    """Messages in and out; a thread listens while a shard runs.

    Args:
        incoming: Lines from the supervisor.
        outgoing: Lines to the supervisor.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._writing = threading.Lock()
        self._runs: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._abort = threading.Event()
        self._heard = Heard()

    @classmethod
    def over_standard_streams(cls) -> "Channel":
        """Take stdin and stdout away from everybody else in this process.

        What libraries print then goes to stderr and cannot corrupt the protocol, and a child process
        cannot read the supervisor's messages: duplicated descriptors are not inherited.
        """
        incoming, outgoing = os.dup(0), os.dup(1)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)
        os.close(nowhere)
        sys.stdout.flush()
        os.dup2(2, 1)
        return cls(os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb"))

    def listen(self) -> None:
        """Begin to listen. At the end of the input the supervisor is gone, and so is this process."""
        threading.Thread(target=self._listen, name="lifeline", daemon=True).start()

    def send(self, message: Message) -> None:
        """Tell the supervisor something."""
        line = encode(message)
        with self._writing:
            self._outgoing.write(line)
            self._outgoing.flush()

    def next_run(self) -> Message:
        """Wait for the next shard to run."""
        return self._runs.get()

    def aborted(self) -> bool:
        """Whether the supervisor wants the running shard stopped."""
        return self._abort.is_set()

    def _listen(self) -> None:
        try:
            for line in self._incoming:
                self._take(decode(line))
        finally:
            end_process_group()

    def _take(self, message: Message) -> None:
        if message["op"] == ABORT:
            self._abort.set()
        elif message["op"] == RUN:
            # In the order of arrival, so an abort that came too late for one shard never stops the next.
            self._abort.clear()
            self._runs.put(self._heard.completed(message))
