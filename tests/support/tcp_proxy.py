"""A TCP proxy that can be slow, swallow everything, or reset its connections."""

import socket
import struct
import threading
import time
from typing import Literal

Mode = Literal["open", "slow", "black_hole", "reset"]


class TcpProxy:
    """Forwards a free port of 127.0.0.1 to another.

    Attributes:
        port: Where it listens.
        mode: What it does with bytes; may be changed at any time.
        delay: Seconds each piece waits when slow.

    Args:
        target: Port to forward to.
    """

    def __init__(self, target: int) -> None:
        self.mode: Mode = "open"
        self.delay = 2.0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._over = False
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """Abort every connection, as a host that forgot them would."""
        for side in list(self._open):
            try:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.shutdown(socket.SHUT_RDWR)
                side.close()
            except OSError:
                pass
        self._open.clear()

    def close(self) -> None:
        """Stop."""
        self._over = True
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                while self.mode == "black_hole" and not self._over:
                    time.sleep(0.05)
                if self.mode == "slow":
                    time.sleep(self.delay)
                sink.sendall(piece)
        except OSError:
            pass
        for side in (source, sink):
            self._open.discard(side)
            side.close()
