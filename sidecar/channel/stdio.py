"""A channel on standard input and output: an agent's, or an editor's."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from sidecar.channel import lifeline
from sidecar.channel.framing import Headed, Incoming, headed
from sidecar.channel.lsp import Editor
from sidecar.channel.mcp import Agent
from sidecar.channel.message import Json, Unavailable
from sidecar.channel.opening import claim, digest, manifest, renewed_path
from sidecar.channel.place import Place, place_of
from sidecar.channel.relay import Relay, written

if TYPE_CHECKING:
    from sidecar.channel.seat import Link

SIGNALLED = 128
# Ends a process that fails inside as `exit` without `shutdown` does (LSP 3.17, "Exit").
ABRUPT = 1

# A client that says nothing so long is not kept waiting by the search for a sidecar.
_FIRST_WORD_SECONDS = 0.1

Alone = Callable[[Place, Json], "Link"]


def serve_agent(root: str, alone: Alone) -> NoReturn:
    """Relay a client of MCP until it leaves; ``alone`` serves it where no sidecar can be had."""
    wire = claim()
    lifeline.on_signals(lambda _: 0)
    lifeline.follow_parent(0)
    incoming = Incoming(wire.source)
    write = written(wire.sink, threading.Lock(), 0)
    known = manifest(renewed_path())
    session = os.urandom(4).hex()

    def connect(began: bool, last: str) -> Link:  # noqa: FBT001
        said = {"manifest": digest(known), "session": session, "began": began}
        return _connected("mcp", root, alone, last, **said)

    relay = Relay(Agent(known), connect, lambda body: write(incoming.outgoing(body)), "mcp")
    if _is_silent(wire.source):
        relay.begin()
    for messages in incoming.messages():
        relay.take(messages)
        relay.begin()
    relay.end()
    os._exit(0)


def _is_silent(source: int) -> bool:
    """Whether nothing was said for a while; Windows cannot wait for a pipe, so there at once."""
    if sys.platform == "win32":
        return True
    return not select.select([source], [], [], _FIRST_WORD_SECONDS)[0]


def serve_editor(fallback_root: Callable[[], str], alone: Alone) -> NoReturn:
    """Relay a client of LSP until it leaves; its first folder is the workspace."""
    wire = claim()
    lifeline.on_signals(lambda number: SIGNALLED + number)
    lifeline.follow_parent(ABRUPT)
    write = written(wire.sink, threading.Lock(), ABRUPT)
    chosen: list[str] = []

    def connect(began: bool, last: str) -> Link:  # noqa: FBT001
        return _connected("lsp", chosen[0], alone, last, began=began)

    def begin(first: Json) -> None:
        chosen.append(folder_of(first) or fallback_root())
        process = (first.get("params") or {}).get("processId")
        if isinstance(process, int):
            lifeline.follow(process, ABRUPT)
        relay.begin()

    editor = Editor(begin)
    relay = Relay(editor, connect, lambda body: write(headed(body)), "lsp")
    for message in Headed(wire.source).messages():
        relay.take([message])
    relay.end()
    os._exit(0 if editor.shut_down else ABRUPT)


def folder_of(initialize: Json) -> str | None:
    """The first folder that an editor opens, None where it opens none on this machine."""
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - an agent must not wait for it

    params = initialize.get("params")
    if initialize.get("method") != "initialize" or not isinstance(params, dict):
        return None
    folders = params.get("workspaceFolders")
    named = [each.get("uri") for each in folders or [] if isinstance(each, dict)]
    for uri in [*named, params.get("rootUri")]:
        if isinstance(uri, str) and uri.startswith("file:"):
            path = unquote(urlsplit(uri).path)
            if sys.platform == "win32":
                path = path.removeprefix("/")  # of /C:/folder
            if os.path.isdir(path):  # noqa: PTH112
                return path
    return None


def _connected(face: str, root: str, alone: Alone, last: str, **more: object) -> Link:
    # The client's first question is answered before this is imported.
    from sidecar.channel.seat import find_or_start, greeting  # noqa: PLC0415

    try:
        place = place_of(root)
    except OSError:
        told = "The workspace's folder cannot be found any more. Start again where it is now."
        raise Unavailable(told) from None
    hello = greeting(face, place, **more)
    try:
        return find_or_start(place, hello, yielding=last == "moved")
    except (Unavailable, OSError) as error:
        return _alone(place, hello, alone, error)


def _alone(place: Place, hello: Json, alone: Alone, error: Exception) -> Link:
    told = f"serving alone, because no sidecar can be had: {error}"
    sys.stderr.write(f"sidecar {hello['face']}: {told}\n")
    return alone(place, hello)
