"""Ask the sidecar that runs for a workspace, which sees what is typed there; starts none."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from typing import NamedTuple

from sidecar.channel.frames import MESSAGE, frame
from sidecar.channel.message import Json, Unavailable, encoded, notification, parsed
from sidecar.channel.place import Place, place_of
from sidecar.channel.seat import Link, ask, greeting
from sidecar.cli.visible import one_line
from sidecar.domain.errors import ErrorCode, SidecarError

# As a command that does everything itself introduces itself to the tools.
_CLIENT = {"name": "cli", "version": ""}
_SESSION = "local"
_REVISION = "2025-06-18"
_CALL = 1
# The sidecar answers a call within 610 s at most, whatever the tool does.
_ANSWER_SECONDS = 660.0
_LEAVING_SECONDS = 10.0
_PAUSE_SECONDS = 0.05


class Told(NamedTuple):
    """What a tool said, in both forms of its result."""

    text: str
    structured: Json
    is_error: bool


def asked(root: str, tool: str, arguments: Json) -> Told | None:
    """A tool's answer by the sidecar of the folder, None where none runs that could be asked.

    Raises E_UNAVAILABLE where it was asked and has not answered: what was to change may have.
    """
    link = _connected(place_of(root))
    if link is None:
        return None
    with closing(link):
        link.connection.settimeout(_ANSWER_SECONDS)
        for message in _conversation(tool, arguments):
            link.send(frame(MESSAGE, encoded(message)))
        return _told(_answer(link))


def _connected(place: Place) -> Link | None:
    try:
        found = _greeted(place)
    except Unavailable as error:
        found = str(error)
    if isinstance(found, str):
        told = f"its sidecar was not asked, so only saved text is seen: {found}"
        sys.stderr.write(f"sidecar: {one_line(told)}\n")
        return None
    return found


def _greeted(place: Place) -> Link | str | None:
    """A link, or why the sidecar gives none; None where there is no sidecar."""
    # As a session that has begun already, for which no sidecar of another version gives way.
    hello = greeting("mcp", place, session=_SESSION, began=True)
    end = time.monotonic() + _LEAVING_SECONDS
    while (link := ask(place, hello)) is not None:
        if link.answer.get("accepted"):
            return link
        link.close()
        if not link.answer.get("wait"):
            return str(link.answer.get("refused", "It refused."))
        if time.monotonic() > end:
            return "It is about to end."
        time.sleep(_PAUSE_SECONDS)
    return None


def _conversation(tool: str, arguments: Json) -> list[Json]:
    opening = {"protocolVersion": _REVISION, "capabilities": {}, "clientInfo": _CLIENT}
    call = {"name": tool, "arguments": arguments}
    return [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": opening},
        notification("notifications/initialized"),
        {"jsonrpc": "2.0", "id": _CALL, "method": "tools/call", "params": call},
    ]


def _answer(link: Link) -> Json:
    for kind, body in link.frames():
        message = parsed(body)
        # The sidecar refuses what it cannot read, such as half a character, without its id.
        refused = "error" in message and message.get("id") is None
        if kind == MESSAGE and (refused or message.get("id") == _CALL):
            return message
    raise SidecarError(
        ErrorCode.UNAVAILABLE,
        "The sidecar ended, or did not answer any more, while this was under way.",
        hint="Read the state before you ask for a change again.",
    )


def _told(answer: Json) -> Told:
    result = answer.get("result")
    if result is None:
        message = str((answer.get("error") or {}).get("message", "The sidecar refused the call."))
        raise SidecarError(ErrorCode.INVALID, message)
    text = "\n".join(part.get("text", "") for part in result["content"])
    return Told(text, result["structuredContent"], bool(result.get("isError")))
