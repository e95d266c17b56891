"""HTTP connections: who does not finish a request is sent away, who waits for an answer is not."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from sidecar.mcp import http
from sidecar.mcp.connection import Connection

PATIENCE = 0.5
WAIT = 20


class Hasty(Connection):
    patience = PATIENCE


async def application(scope, receive, send) -> None:
    """Reads the body, then answers in two parts with more than the patience between them."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
    await asyncio.sleep(2 * PATIENCE)
    await send({"type": "http.response.body", "body": b"done"})


@pytest.fixture
def port() -> Iterator[int]:
    listener = http.listen("127.0.0.1", 0)
    config = uvicorn.Config(application, log_level="warning", lifespan="off", http=Hasty, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(WAIT)
    assert not thread.is_alive()


def told(port: int, sent: bytes) -> bytes:
    """Everything the server says until it closes."""
    with socket.create_connection(("127.0.0.1", port), WAIT) as connection:
        connection.sendall(sent)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_an_unfinished_request_is_ended(port: int, sent: bytes):
    assert b"done" not in told(port, sent)


def test_a_whole_request_may_wait_for_its_answer(port: int):
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    assert b"begun" in (answer := told(port, request))
    assert b"done" in answer


def test_the_second_request_of_a_connection_is_hurried_as_the_first(port: int):
    first = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    answer = told(port, first + b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert answer.count(b"done") == 1
