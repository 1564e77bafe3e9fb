"""Event streams that are cut, by the client and by crashes, and those that are open at the end."""

import signal
import threading
import time

import httpx
from gateway_process import Process, submit
from sqlalchemy import Engine

from ledger import events
from ledger.database import write


def test_an_event_stream_cut_thirty_times_has_no_gap(
    gateway: Process, client: httpx.Client, engine: Engine
) -> None:
    path = submit(client).headers["location"]
    with write(engine) as conn:
        for number in range(309):
            events.append(conn, path.rpartition("/")[2], "progress", {"completed": number})
    seen: list[int] = []
    for cut in range(31):
        if cut == 15:
            gateway.send(signal.SIGKILL)
            gateway.wait()
            gateway.start()
        headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
        with client.stream("GET", f"{path}/events", headers=headers) as stream:
            for line in stream.iter_lines():
                if line.startswith("id: "):
                    seen.append(int(line[4:]))
                    if len(seen) >= 10 * (cut + 1):
                        break  # the connection is closed amid the stream
    assert seen == list(range(1, 311))


def test_an_event_stream_cut_by_crashes_has_no_gap(
    gateway: Process, client: httpx.Client, engine: Engine
) -> None:
    path = submit(client).headers["location"]
    stop = threading.Event()

    def work() -> None:
        for number in range(120):
            with write(engine) as conn:
                events.append(conn, path.rpartition("/")[2], "progress", {"completed": number})
            time.sleep(0.01)
        stop.set()

    worker = threading.Thread(target=work)
    worker.start()
    seen: list[int] = []
    crashes = 0
    while not seen or seen[-1] < 121:
        headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
        try:
            with client.stream("GET", f"{path}/events", headers=headers) as stream:
                for line in stream.iter_lines():
                    if line.startswith("id: "):
                        seen.append(int(line[4:]))
                    if crashes < 3 and len(seen) >= 30 * (crashes + 1):
                        crashes += 1
                        gateway.kill()
                    if seen and seen[-1] >= 121:
                        break
        except httpx.TransportError:
            gateway.start()
    worker.join()
    assert crashes == 3
    assert seen == list(range(1, 122))


def test_open_streams_do_not_hold_the_gateway_up(gateway: Process, client: httpx.Client) -> None:
    path = submit(client).headers["location"]
    with client.stream("GET", f"{path}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry")
        gateway.send(signal.SIGTERM)
        assert gateway.wait() in {0, -signal.SIGTERM}  # uvicorn ends by the signal it handled
