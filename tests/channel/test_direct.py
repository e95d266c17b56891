"""Plain calls of agents that share a sidecar go the direct way, past the SDK."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sidecar.channel.frames import END, MESSAGE, frame, frames
from sidecar.host.agents import Agents
from sidecar.host.link import ChannelLink
from sidecar.host.shared import Shared
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
from tests.faces.wire import INITIALIZE


class Channel:
    """A channel's end of the socket, and the sidecar's end served in a thread."""

    def __init__(self, root: Path) -> None:
        ours, self._socket = socket.socketpair()
        link = ChannelLink({"face": "mcp", "manifest": ""}, ours, b"")
        shared = Shared(Context(Workspace.open(root), Settings()))

        def serve() -> None:
            asyncio.run(Agents(shared).serve(link))

        self.serving = threading.Thread(target=serve, daemon=True)
        self.serving.start()
        self._messages = frames(self._socket)

    def send(self, **message: Any) -> None:
        """Send a message of the client."""
        told = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._socket.sendall(frame(MESSAGE, told))

    def receive(self) -> Any:
        """The next message for the client."""
        return next(json.loads(body) for kind, body in self._messages if kind == MESSAGE)

    def leave(self) -> None:
        """Tell the end of the client's messages, and wait until the sidecar has seen it."""
        self._socket.sendall(frame(END, b""))
        self.serving.join(30)
        assert not self.serving.is_alive()


def threads(name: str) -> set[threading.Thread]:
    """The threads of this process that are named so."""
    return {each for each in threading.enumerate() if each.name.startswith(name)}


READ = {"name": "get_todo_status", "arguments": {"limit": 2}}
WRITE = {
    "name": "write_project_file",
    "arguments": {"file_path": "new.txt", "content": "x", "dry_run": True},
}


@pytest.mark.parametrize(("call", "beside", "watch"), [(READ, 0, 1), (WRITE, 1, 0)])
def test_a_plain_call_is_answered_past_the_sdk_by_who_has_read_it_or_beside_if_it_writes(
    example_workspace: Path, call: dict[str, Any], beside: int, watch: int
):
    before, watched = threads("call-"), threads("mcp-watch")
    channel = Channel(example_workspace)
    channel.send(id=0, method="initialize", params=INITIALIZE)
    assert channel.receive()["id"] == 0
    channel.send(method="notifications/initialized")

    channel.send(id=1, method="tools/call", params={**call, "_meta": {"progressToken": "p"}})
    by_the_sdk = channel.receive()
    assert not threads("call-") - before
    assert not threads("mcp-watch") - watched
    channel.send(id=1, method="tools/call", params=call)
    direct = channel.receive()

    assert len(threads("call-") - before) == beside
    assert len(threads("mcp-watch") - watched) == watch
    for answer in (by_the_sdk, direct):
        answer["result"]["structuredContent"].pop("timestamp")
    assert direct == by_the_sdk
    channel.leave()


@pytest.mark.parametrize("sdk", [False, True], ids=["without the SDK", "with the SDK"])
def test_a_session_leaves_no_thread_behind(example_workspace: Path, *, sdk: bool):
    before = threads("")
    channel = Channel(example_workspace)
    channel.send(id=0, method="initialize", params=INITIALIZE)
    channel.receive()
    channel.send(method="notifications/initialized")
    for number, params in enumerate((READ, WRITE, READ, WRITE)):
        channel.send(id=number, method="tools/call", params=params)
        assert channel.receive()["id"] == number
    if sdk:
        channel.send(id="list", method="resources/read", params={"uri": "sidecar://status"})
        assert channel.receive()["id"] == "list"
    channel.leave()
    ends = time.monotonic() + 30
    while ours := {each for each in threads("") - before if each.name.startswith(("call-", "mcp"))}:
        assert time.monotonic() < ends, ours
        time.sleep(0.05)
