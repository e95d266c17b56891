"""HTTP under attack: strangers on every route, slow and fat clients, crowds, mutated bodies."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sidecar.mcp import token
from sidecar.workspace.user_dirs import UserDirs
from tests.conftest import EXAMPLE
from tests.faces.wire import INITIALIZE
from tests.faults.mutations import Mutator

pytestmark = pytest.mark.faults

SIDECAR = [sys.executable, "-c", "import sys; from sidecar.cli.main import main; sys.exit(main())"]
PATIENCE = 60
MESSAGES = int(os.environ.get("SIDECAR_FUZZ_HTTP_MESSAGES", "200"))
CROWD = int(os.environ.get("SIDECAR_HTTP_CROWD", "100"))
ROUTES = ("/mcp", "/sse", "/messages/", "/messages/x", "/", "/mcp/", "/MCP", "/nowhere",
          "//mcp", "/mcp/../sse", "/%6dcp", "/.well-known/oauth-protected-resource")  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND")
STRANGE_HOSTS = (
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "0.0.0.0", "[::]", "",
    "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "localhost.", "user@localhost",
    "localhost@evil.example", "[::1].evil.example", "127.0.0.1 evil.example", "192.0.2.1",
    "localhost\tx", "[::1]evil.example", "localhost:80:evil.example", "[localhost]",
)  # fmt: skip
STRANGE_ORIGINS = (
    "null", "http://evil.example", "https://localhost.evil.example", "file://", "http://",
    "ftp://localhost", "chrome-extension://abc", "http://localhost@evil.example", "localhost",
    "http://[::1].evil.example", "http://0.0.0.0", "vscode-webview://localhost", "",
    "http://localhost/evil.example", "http://localhost:80:evil.example", "http://localhost#x",
)  # fmt: skip
STRANGE_TOKENS = ("", "Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "{token}",
                  "Bearer {token}x", "Bearer {short}", "Bearer {upper}", "bearer\u00a0{token}",
                  "Bearer {token}, Bearer x")  # fmt: skip


@dataclass
class Served:
    """A running server, and how to reach it."""

    process: subprocess.Popen[str]
    address: str
    port: int
    token: str

    @property
    def named(self) -> str:
        return f"[{self.address}]" if ":" in self.address else self.address

    def ask(
        self, path: str, method: str, headers: list[tuple[str, str]], body: bytes = b""
    ) -> tuple[int, bytes]:
        """One raw request, so that no library corrects it; the status and what follows it."""
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers)
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        with socket.create_connection((self.address, self.port), PATIENCE) as connection:
            connection.sendall(head.encode("utf-8") + body)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
                if b"\ndata: {" in answer or b"event: endpoint" in answer:
                    break  # a stream may stay open after its answer
        found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
        return (int(found[1]) if found else 0), answer

    def head(self, **changed: str | None) -> list[tuple[str, str]]:
        """The headers of a client that may; a changed one by its name, None leaves it out."""
        usual: dict[str, str | None] = {
            "Host": f"{self.named}:{self.port}", "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        }  # fmt: skip
        return [(k, v) for k, v in (usual | changed).items() if v is not None]

    def lives(self) -> None:
        """Assert that an honest client is served."""
        assert self.ask("/mcp", "POST", self.head(), request("initialize", INITIALIZE))[0] == 200


def request(method: str, params: Any, number: Any = 1) -> bytes:
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(message).encode()


HELLO = request("initialize", INITIALIZE)


def serve(folder: Path, address: str) -> Iterator[Served]:
    root, home = folder / "ws", folder / "home"
    shutil.copytree(EXAMPLE, root)
    command = [
        *SIDECAR,
        "mcp",
        "--http",
        "--host",
        address,
        "--port",
        "0",
        "--workspace",
        str(root),
    ]
    environment = {**os.environ, "SIDECAR_HOME": str(home)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    told = ""
    while not (found := re.search(r"http://(?:\[[^\]]*\]|[^:]+):(\d+)/mcp", told)):
        line = process.stderr.readline()
        assert line, told
        told += line
    threading.Thread(target=process.stderr.read, daemon=True).start()
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    yield Served(process, reached, int(found[1]), token.current(UserDirs.locate(home=home)))
    process.kill()
    process.wait(PATIENCE)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


SIX = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
ADDRESSES = ["127.0.0.1", "0.0.0.0", pytest.param("::1", marks=SIX), pytest.param("::", marks=SIX)]


@pytest.fixture(scope="module", params=ADDRESSES)
def served(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("served"), request.param)


@pytest.fixture(scope="module")
def one(tmp_path_factory: Any) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("one"), "127.0.0.1")


@pytest.fixture(scope="module")
def matrix(figure: Callable[[str], None]) -> Iterator[Counter[str]]:
    count: Counter[str] = Counter()
    yield count
    figure(
        f"HTTP matrix: {count['refused']:,}/{count['asked']:,} requests of strangers refused, on "
        f"{len(ROUTES)} routes by {len(METHODS)} methods at {len(ADDRESSES)} addresses"
    )


def refused(served: Served, headers: list[tuple[str, str]], matrix: Counter[str]) -> set[int]:
    """The statuses that every route gives to every method; a body is sent along."""
    statuses = set()
    body = request("tools/list", {})
    for path in ROUTES:
        for method in METHODS:
            status, answer = served.ask(path, method, headers, body)
            assert b"get_system_status" not in answer
            assert b"event: endpoint" not in answer
            statuses.add(status)
            matrix["asked"] += 1
            matrix["refused"] += status in {400, 401, 403, 421}
    return statuses


@pytest.mark.parametrize("kind", ["host", "origin", "token", "nothing", "two hosts"])
def test_a_stranger_is_refused_on_every_route_by_every_method(
    served: Served, kind: str, matrix: Counter[str]
):
    head = {
        "host": served.head(Host="evil.example"), "origin": served.head(Origin="http://evil.example"),
        "token": served.head(Authorization="Bearer wrong"),
        "nothing": served.head(Authorization=None),
        "two hosts": [*served.head(), ("Host", "evil.example")],
    }[kind]  # fmt: skip
    expected = {"host": {421}, "origin": {403}, "two hosts": {400, 421}}.get(kind, {401})

    assert refused(served, head, matrix) <= expected
    served.lives()


@pytest.mark.parametrize("host", STRANGE_HOSTS, ids=ascii)
def test_a_strange_host_is_refused(served: Served, host: str):
    status, _ = served.ask("/mcp", "POST", served.head(Host=host), HELLO)
    assert status in {400, 421}


@pytest.mark.parametrize("origin", STRANGE_ORIGINS, ids=ascii)
def test_a_strange_origin_is_refused(served: Served, origin: str):
    status, _ = served.ask("/mcp", "POST", served.head(Origin=origin), HELLO)
    assert status == 403


@pytest.mark.parametrize("given", STRANGE_TOKENS, ids=ascii)
def test_a_strange_token_is_refused(served: Served, given: str):
    own = served.token
    shown = given.format(token=own, short=own[:-1], upper=own.swapcase())
    for head in (served.head(Authorization=shown),
                 [*served.head(), ("Authorization", "Bearer x")]):  # fmt: skip
        assert served.ask("/mcp", "POST", head, HELLO)[0] in {400, 401}
    path = f"/mcp?token={own}&access_token={own}"
    assert served.ask(path, "POST", served.head(Authorization=None))[0] == 401


def test_without_a_host_header_nothing_is_served(served: Served):
    assert served.ask("/mcp", "POST", served.head(Host=None), HELLO)[0] in {400, 421}


def test_a_web_socket_is_not_opened(served: Served):
    head = served.head(Connection="Upgrade", Upgrade="websocket")
    head += [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    for path in ("/mcp", "/sse", "/"):
        assert served.ask(path, "GET", head)[0] != 101


def test_a_body_over_the_limit_is_refused_however_it_comes(one: Served):
    large = b"x" * 17_000_000
    for path in ("/mcp", "/messages/?session_id=" + "0" * 32):
        connection = http.client.HTTPConnection(one.address, one.port, timeout=PATIENCE)
        try:
            connection.request("POST", path, large, dict(one.head()))
            assert connection.getresponse().status in {400, 404, 413}
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all was read
        connection.close()
        chunked = (large[at : at + 65536] for at in range(0, len(large), 65536))
        connection = http.client.HTTPConnection(one.address, one.port, timeout=PATIENCE)
        try:
            connection.request("POST", path, chunked, dict(one.head()), encode_chunked=True)
            assert connection.getresponse().status in {400, 404, 413}
        except (BrokenPipeError, ConnectionResetError):
            pass
        connection.close()
    one.lives()


def test_slow_clients_hold_up_nobody(one: Served):
    """Heads and bodies that never end, byte by byte, beside an honest client."""
    slow = []
    for number in range(50):
        connection = socket.create_connection((one.address, one.port), PATIENCE)
        head = "".join(f"{k}: {v}\r\n" for k, v in one.head())
        connection.sendall(b"POST /mcp HTTP/1.1\r\n" + head.encode())
        if number % 2:
            connection.sendall(b"Content-Length: 1000\r\n\r\n{")
        slow.append(connection)
    for _ in range(10):
        for connection in slow:
            connection.sendall(b"X")
        one.lives()
    for connection in slow:
        connection.close()
    one.lives()


def test_a_crowd_of_streams_and_clients_is_served(one: Served, figure: Callable[[str], None]):
    """Open event streams take nothing from those who call; each caller gets its own answer."""
    streams = []
    for _ in range(CROWD):
        connection = http.client.HTTPConnection(one.address, one.port, timeout=PATIENCE)
        connection.request("GET", "/sse", headers=dict(one.head()))
        answer = connection.getresponse()
        assert answer.status == 200
        streams.append((connection, answer))
    answered: list[bool] = []

    def call(number: int) -> None:
        body = request("initialize", INITIALIZE, f"client-{number}")
        status, told = one.ask("/mcp", "POST", one.head(), body)
        answered.append(status == 200 and f'"client-{number}"'.encode() in told)  # fmt: skip

    callers = [threading.Thread(target=call, args=(number,)) for number in range(CROWD)]
    began = time.monotonic()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE)
    took = time.monotonic() - began
    for connection, _ in streams:
        connection.close()
    figure(f"HTTP crowd: {sum(answered)}/{CROWD} clients answered in {took:.1f} s beside {CROWD} "
           "open streams")  # fmt: skip
    assert sum(answered) == CROWD
    one.lives()


def test_each_mutated_body_is_answered(one: Served, figure: Callable[[str], None]):
    source, statuses = Mutator(2), Counter[int]()
    session = opened(one)
    for number in range(MESSAGES):
        head = one.head(**session) if number % 4 else one.head()
        status, answer = one.ask("/mcp", "POST", head, source.message().line)
        statuses[status] += 1
        assert 200 <= status < 500, answer[:1000]
        assert b"Traceback" not in answer
        assert b"site-packages" not in answer
    one.lives()
    assert one.process.poll() is None
    told = ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items()))
    figure(f"messages over HTTP: {MESSAGES:,} sent, each answered ({told})")
    assert statuses[200] > MESSAGES // 20


def opened(served: Served) -> dict[str, str]:
    """The headers of a session of its own."""
    _, answer = served.ask("/mcp", "POST", served.head(), HELLO)
    found = re.search(rb"mcp-session-id: ([0-9a-f]+)", answer, re.IGNORECASE)
    assert found
    return {"Mcp-Session-Id": found[1].decode(), "MCP-Protocol-Version": "2025-06-18"}


def test_a_session_of_another_client_cannot_be_guessed_or_taken(one: Served):
    own = opened(one)["Mcp-Session-Id"]
    assert len(own) >= 32
    for forged in ("x", own[:-1], "../../etc", "\u00e9", own + "0"):
        head = [*one.head(), ("Mcp-Session-Id", forged)]
        assert one.ask("/mcp", "POST", head, request("tools/list", {}))[0] in {400, 404}
    forged = one.ask("/messages/?session_id=" + "0" * 32, "POST", one.head(), b"{}")
    assert forged[0] in {400, 404}
