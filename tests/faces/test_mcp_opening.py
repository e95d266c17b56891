"""The first questions are answered before the server is there, and exactly as it would."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.channel.opening import MANIFEST, Answers
from sidecar.mcp import manifest
from tests.faces.wire import PATIENCE, Wire

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no opening where select needs sockets")
SIDECAR = [sys.executable, "-c", "import sys; from sidecar.cli.main import main; sys.exit(main())"]
# The same server without an opening.
SOLO = """
import sys
from pathlib import Path
from sidecar import app
from sidecar.channel.framing import Incoming
from sidecar.channel.opening import claim
from sidecar.cli.mcp import leave
from sidecar.mcp import stdio
from sidecar.mcp.early import Descriptor
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
wire = claim()
server = app.mcp_server(Context(Workspace.open(Path(sys.argv[1])), Settings()))
leave(stdio.serve(server, Incoming(wire.source), Descriptor(wire.sink)))
"""
META = {
    "io.modelcontextprotocol/protocolVersion": manifest.MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
Json = dict[str, Any]


def request(number: int | str, method: str, **params: Any) -> Json:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def initialize(version: str, number: int | str = 1) -> Json:
    client = {"name": "test", "version": "0"}
    return request(
        number, "initialize", protocolVersion=version, capabilities={}, clientInfo=client
    )


def session(version: str) -> list[Json]:
    """What a client of this version asks first."""
    if version == manifest.MODERN:
        methods = ["server/discover", *LISTS]
        return [request(method, method, _meta=META) for method in methods]
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    lists = [request(method, method) for method in LISTS]
    return [initialize(version), ready, *lists, request(2, "ping")]


def answers_of(wire: Wire, messages: list[Json]) -> list[Json]:
    """One answer a request, in the order of the requests, whatever order they came in."""
    for message in messages:
        wire.send(message)
    wanted = [message["id"] for message in messages if "id" in message]
    told = [wire.receive() for _ in wanted]
    return sorted(told, key=lambda answer: wanted.index(answer["id"]))


@pytest.fixture
def sidecar(example_workspace: Path) -> Iterator[Wire]:
    wire = Wire([*SIDECAR, "mcp", "--workspace", str(example_workspace)])
    yield wire
    wire.kill()


def test_the_kept_answers_are_current() -> None:
    """`make docs` writes them anew."""
    assert Path(MANIFEST).read_text("utf-8") == manifest.current()


@pytest.mark.parametrize("version", [*manifest.VERSIONS, manifest.MODERN])
def test_the_server_itself_would_say_the_same(version: str, example_workspace: Path) -> None:
    answers = Answers(json.loads(Path(MANIFEST).read_bytes()))
    messages = session(version)
    early = [answer for message in messages if (answer := answers.to(message))]
    wire = Wire([sys.executable, "-c", SOLO, str(example_workspace)])
    try:
        assert answers_of(wire, messages) == early
    finally:
        wire.kill()


@pytest.mark.parametrize("version", [manifest.VERSIONS[0], manifest.MODERN])
def test_each_question_is_answered_once_and_the_session_goes_on(
    version: str, sidecar: Wire
) -> None:
    """All is sent in one go, so that the server's start falls among the questions."""
    meta = {"_meta": META} if version == manifest.MODERN else {}
    call = request("call", "tools/call", name="get_todo_status", arguments={}, **meta)
    answers = answers_of(sidecar, [*session(version), call])
    assert answers[-1]["result"]["structuredContent"]["total"] == 6
    assert all("result" in answer for answer in answers)
    again = request("again", "tools/list", **meta)
    assert answers_of(sidecar, [again])[0]["result"] == answers[1]["result"]
    assert sidecar.close() == 0
    assert sidecar.receive() is None


def listen(**wanted: Any) -> Json:
    return request("listen", "subscriptions/listen", _meta=META, notifications=wanted)


def test_a_subscription_is_acknowledged_once_and_as_the_server_does(
    sidecar: Wire, example_workspace: Path
) -> None:
    """Claude Code asks for nothing else before it has the acknowledgement."""
    message = listen(toolsListChanged=True, resourcesListChanged=True)
    early = Answers(json.loads(Path(MANIFEST).read_bytes())).to(message)
    solo = Wire([sys.executable, "-c", SOLO, str(example_workspace)])
    try:
        solo.send(message)
        assert solo.receive() == early
    finally:
        solo.kill()
    sidecar.send(message)
    assert sidecar.receive() == early
    sidecar.send(request("call", "tools/call", name="get_todo_status", arguments={}, _meta=META))
    assert sidecar.receive()["id"] == "call"


@POSIX
def test_what_must_start_at_once_imports_nothing_slow() -> None:
    """Every client waits for these imports before it is answered."""
    told = "import sys, sidecar.cli.main, sidecar.cli.mcp; print(*sys.modules)"
    command = [sys.executable, "-c", told]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    slow = {"asyncio", "pydantic", "mcp", "mcp_types", "logging", "sqlite3", "subprocess"}
    assert slow.isdisjoint(loaded)


@POSIX
def test_a_client_that_leaves_during_the_start_is_not_outlived(sidecar: Wire) -> None:
    assert answers_of(sidecar, [initialize("2025-11-25")])[0]["id"] == 1
    begun = time.monotonic()
    sidecar.process.stdin.close()
    assert sidecar.process.wait(PATIENCE) == 0
    assert time.monotonic() - begun < PATIENCE / 2


def test_messages_with_headers_are_left_to_the_server(sidecar: Wire) -> None:
    """Cline's second try sends them as the Language Server Protocol does."""
    body = json.dumps(initialize("2024-11-05")).encode()
    sidecar.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    sidecar.process.stdin.flush()
    assert sidecar._answers.get(timeout=PATIENCE).lower().startswith(b"content-length:")


@pytest.mark.parametrize(
    "message",
    [
        None,
        [initialize("2025-11-25")],
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        request(1, "ping"),
        request(1, "tools/list"),
        initialize("1999-01-01"),
        {**initialize("2025-11-25"), "id": None},
        {**initialize("2025-11-25"), "id": True},
        {**initialize("2025-11-25"), "id": 1.5},
        {**initialize("2025-11-25"), "params": []},
        request(1, "initialize", protocolVersion="2025-11-25"),
        request(1, "server/discover"),
        request(1, "server/discover", _meta={**META, manifest.VERSION_KEY: "2027-01-01"}),
        request(1, "tools/list", _meta=META, cursor="x"),
        request(1, "tools/call", _meta=META, name="get_todo_status"),
        {"jsonrpc": "2.0", "id": 1, "method": ["ping"]},
        listen(toolsListChanged=False),
        listen(toolsListChanged=True, resourceSubscriptions=["sidecar://todo"]),
        listen(),
    ],
)
def test_what_is_not_certain_is_left_to_the_server(message: Any) -> None:
    assert Answers(json.loads(Path(MANIFEST).read_bytes())).to(message) is None
