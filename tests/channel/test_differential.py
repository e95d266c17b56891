"""A channel says what the server and the bare SDK say, but for a named list of differences."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.channel.clients import agent
from tests.conftest import EXAMPLE
from tests.faces.test_mcp_opening import META, initialize, listen, request, session
from tests.faces.wire import Wire

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="never tried there")

# What differs on purpose, and so is not among the sequences.
INTENDED = {
    "list_changed": "a sidecar with other lists than its channel told says so",
    "gone": "a call that was under way when the sidecar ended gets an error",
    "in use": "an id used again at once may be answered twice: the first answer was given already",
    "environment": "settings by environment variables are those of whoever came first",
}
# The same registry on the SDK's own transport.
SDK = """
import asyncio, sys
from pathlib import Path
from mcp.server.stdio import stdio_server
from sidecar import app
from sidecar.host.workspace import open_workspace

async def main():
    server = app.mcp_server(open_workspace(Path(sys.argv[1])))
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

asyncio.run(main())
"""
# Where the SDK says less than we do: it drops such lines, and their sender waits for ever.
UNANSWERED_BY_THE_SDK = "lines that are no message"
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|overdue by \d+ s|\d+ of \d+ s \(line"
)
_LATENESS = re.compile(r'(\\*"(?:overdue|late|age)_seconds\\*": ?)\d+')

READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(number: int | str, name: str, **arguments: Any) -> dict[str, Any]:
    return request(number, "tools/call", name=name, arguments=arguments)


def legacy(*messages: Any) -> list[Any]:
    return [initialize("2025-06-18", "init"), READY, *messages]


LINES: list[Any] = [
    b"{bad", b"\xff\xfe", b'"\\ud800"', b"[" * 100_000, b"NaN", b"5", b"[]", b"{}",
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
    b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
    b"x" * 17_000_000,
]  # fmt: skip
SEQUENCES: dict[str, list[Any]] = {
    **{f"opening {version}": session(version) for version in ("2024-11-05", "2025-11-25")},
    "opening 2026-07-28": session("2026-07-28"),
    "an unknown version": [initialize("1999-01-01", "init"), READY, request(1, "tools/list")],
    "nothing before the handshake": [request(1, "tools/list"), request(2, "ping")],
    "a second handshake": legacy(initialize("2025-06-18", 2)),
    "lines that are no message": legacy(*LINES),
    "unknown methods": legacy(request(1, "tools/cal"), request(2, "logging/setLevel")),
    "reading": legacy(
        call(1, "get_todo_status", include_completed=True),
        call(2, "get_mode_capabilities"),
        call(3, "get_schedule_status", include_inactive=True),
        call(4, "get_persistent_memory"),
        call(5, "get_time_tracking"),
        call(6, "read_project_file", file_path="TODO.md"),
        call(7, "list_project_structure"),
        call(8, "search_in_files", pattern="Library"),
    ),
    "refusals": legacy(
        call(1, "get_todo_statu"),
        call(2, "get_todo_status", limt=1),
        call(3, "read_project_file", file_path="../x"),
        request(4, "tools/call", name="get_todo_status", arguments="x"),
        request(5, "tools/call", name="get_todo_status", arguments=[]),
        request(6, "resources/read", uri="sidecar://nothing"),
        request(7, "prompts/get", name="nothing"),
        request(8, "tools/call"),
    ),
    "resources and prompts": legacy(
        request(1, "resources/read", uri="sidecar://todo"),
        request(2, "resources/subscribe", uri="sidecar://todo"),
        request(3, "resources/unsubscribe", uri="sidecar://todo"),
        request(4, "completion/complete", ref={"type": "ref/prompt", "name": "x"}, argument={}),
    ),
    "a stream": [listen(toolsListChanged=True), request(1, "server/discover", _meta=META)],
    "changing": legacy(
        call(1, "write_project_file", file_path="a.txt", content="é🔧\n", dry_run=True),
        call(2, "update_persistent_memory", section="x"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A workspace for each of the two, with a client that keeps the sidecar of one going."""
    folder = tmp_path_factory.mktemp("differential")
    home = folder / "home"
    for name in ("channel", "solo", "sdk"):
        shutil.copytree(EXAMPLE, folder / name / "workspace")
    keeping = agent(folder / "channel" / "workspace", env=environment(home))
    keeping.initialize()
    keeping.call("get_todo_status", {})
    yield {"home": home, **{each: folder / each for each in ("channel", "solo", "sdk")}}
    keeping.kill()


def environment(home: Path) -> dict[str, str]:

    return {**os.environ, "SIDECAR_HOME": str(home)}


def told(wire: Wire, messages: list[Any]) -> list[str]:
    """Everything that is said, by the id of what it answers; what passes is left out."""
    answers = []
    expected = sum(1 for each in messages if isinstance(each, bytes) or "id" in each)
    for _ in range(expected):
        answer = wire.receive()
        text = _INSTANT.sub("…", json.dumps(answer, sort_keys=True))
        answers.append(_LATENESS.sub(r"\1", text))
    return sorted(answers)


@pytest.fixture
def wires(places: dict[str, Path]) -> Iterator[dict[str, Wire]]:
    """The three, which start beside each other."""
    env = environment(places["home"])
    roots = {name: places[name] / "workspace" for name in ("channel", "solo", "sdk")}
    started = {
        "channel": agent(roots["channel"], env=env),
        "solo": agent(roots["solo"], "--solo", env=env),
        "sdk": Wire([sys.executable, "-P", "-c", SDK, str(roots["sdk"])], env=env),
    }
    yield started
    for wire in started.values():
        wire.kill()


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_sequence_is_answered_alike(wires, name):
    messages = SEQUENCES[name]
    for wire in wires.values():
        for message in messages:
            wire.send(message)
    expected = told(wires["solo"], messages)
    assert told(wires["channel"], messages) == expected
    if name == UNANSWERED_BY_THE_SDK:
        assert told(wires["sdk"], legacy()) == [each for each in expected if '"init"' in each]
    else:
        assert told(wires["sdk"], messages) == expected
