"""JSON-RPC messages, as little of them as a channel must know."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]
Id = str | int

# Ids of requests that are the channel's own; their answers are for nobody else.
OWN = "sidecar:"


class Unavailable(Exception):  # noqa: N818 - a state, told to the client in its own words
    """No sidecar can be had, and why."""


def parsed(body: bytes | None) -> Json:
    """The message in a body; empty where there is none, which the sidecar will answer."""
    if body is None:
        return {}
    try:
        message: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def encoded(message: Json) -> bytes:
    """A message as it is sent."""
    return json.dumps(message, separators=(",", ":")).encode()


def request_id(message: Json) -> Id | None:
    """The id of a request or an answer, None where there is none that it may have."""
    value = message.get("id")
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def is_own(value: Any) -> bool:
    """Whether a message with this id is between the channel and the sidecar or the client."""
    return isinstance(value, str) and value.startswith(OWN)


def notification(method: str, **more: Any) -> Json:
    """A message that nobody answers."""
    return {"jsonrpc": "2.0", "method": method, **more}


def refusal(number: Id, code: int, message: str, **more: Any) -> Json:
    """An error for a request."""
    error = {"code": code, "message": message, **more}
    return {"jsonrpc": "2.0", "id": number, "error": error}
