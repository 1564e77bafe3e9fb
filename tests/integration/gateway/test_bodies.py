"""Bodies that are too long."""

import socket

import httpx
import pytest
from gateway_process import PATIENCE, Process


def test_a_body_over_the_limit_is_refused(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/v1/analyses", content=b" " * (9 << 20), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_body_of_unknown_length_is_cut(gateway: Process) -> None:
    head = (
        "POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode())
        sent = 0
        try:
            while sent < 64 << 20:
                connection.sendall(chunk)
                sent += len(chunk)
                connection.setblocking(False)
                try:
                    answer = connection.recv(1 << 16)
                    break
                except BlockingIOError:
                    connection.settimeout(PATIENCE)
            else:
                pytest.fail("64 MiB were taken")
        except ConnectionError:
            return  # the gateway closed the connection before we could read its answer
    assert answer.startswith(b"HTTP/1.1 413")
