"""An agent's session as a channel sees it: what it asked, and what another sidecar must know."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from sidecar.channel.message import (
    OWN,
    Id,
    Json,
    encoded,
    is_own,
    notification,
    parsed,
    refusal,
    request_id,
)
from sidecar.channel.opening import (
    ACKNOWLEDGED,
    LISTEN,
    SUBSCRIPTION,
    Answers,
    renew,
    renewed_path,
)

GONE = -32000
# A call as clients write it, from its head or its head and end; any other is parsed whole.
_CALL = re.compile(
    rb'\{"jsonrpc": ?"2\.0", ?"id": ?(-?\d{1,15}), ?"method": ?"tools/call", ?"params": ?\{'
    rb'|\{"method":"tools/call","params":\{.*"jsonrpc":"2\.0","id":(-?\d{1,15})\}$',
    re.DOTALL,
)
_UPDATED = "notifications/resources/updated"
_CALLING: Json = {"method": "tools/call"}
_ANSWER = re.compile(
    rb'\{"jsonrpc":"2\.0","id":(?:(-?\d{1,15})|(-?\d+|"(?:[^"\\]|\\.)*")),"(result|error)":'
)
_CHANGES = (
    ("tools", "toolsListChanged"),
    ("prompts", "promptsListChanged"),
    ("resources", "resourcesListChanged"),
)


class Agent:
    """What one client of MCP has said and still waits for."""

    def __init__(self, manifest: Json) -> None:
        self._manifest = manifest
        self._answers = Answers(manifest)
        self._initialize: Json | None = None
        self._initialized = False
        self._greeted = False
        self._under_way: dict[Id, Json] = {}
        self._listening: dict[Id, Json] = {}
        self._acknowledged: set[Id] = set()
        self._subscribed: dict[str, None] = {}
        self._told_of_lists = False

    @property
    def unanswered(self) -> bool:
        """Whether the client waits for an answer; streams are answered when they end."""
        return bool(self._under_way)

    def asks_plainly(self, body: bytes | None) -> bool:
        """Note a call of a tool."""
        call = _CALL.match(body) if body is not None else None
        if call is None:
            return False
        self._under_way[int(call[1] or call[2])] = _CALLING
        return True

    def took(self, body: bytes | None, *, connected: bool) -> tuple[list[bytes], bool]:
        """Answer what the manifest can tell and note the rest; a sidecar is only spared the lists.

        Where its lists are others, it says so a moment later, and the client is told of it.
        """
        message = parsed(body)
        method, number = message.get("method"), request_id(message)
        answer = self._answers.to(message)
        if connected and not str(method).endswith("/list"):
            answer = None
        if method == "notifications/initialized":
            self._initialized = True
        if not isinstance(method, str) or number is None:
            return [], connected or method != "notifications/initialized"
        if method == "initialize" and self._initialize is None:
            self._initialize, self._greeted = message, answer is not None
            if answer is None:
                self._under_way[number] = message
            return _bodies(answer), connected
        if method == LISTEN:
            self._listening[number] = message
            if answer is not None:
                self._acknowledged.add(number)
            return _bodies(answer), connected
        if answer is not None:
            self._told_of_lists |= method.endswith("/list")
            return _bodies(answer), False
        self._under_way[number] = _kept(method, message)
        return [], True

    def answers_plainly(self, body: bytes) -> bool:
        """Note the answer to a call of a tool."""
        found = _ANSWER.match(body)
        if found is None or not found[1]:
            return False
        number = int(found[1])
        if self._under_way.get(number) is not _CALLING:
            return False
        del self._under_way[number]
        return True

    def told(self, body: bytes) -> tuple[list[bytes], list[bytes]]:
        """Note what was answered; what answers the channel itself is not passed on."""
        found = _ANSWER.match(body)
        if found is None:
            return self._unanswering(body), []
        number = int(found[1]) if found[1] else json.loads(found[2])
        asked = self._under_way.pop(number, None)
        if is_own(number):
            return self._watched_again(str(number).removeprefix(OWN)), []
        self._listening.pop(number, None)
        if asked is not None and found[3] == b"result":
            self._noted(asked)
        return [body], []

    def lost(self, reason: str, unsent: Sequence[bytes | None] = ()) -> list[bytes]:
        """An error for each call that nobody will answer now."""
        spared = {request_id(parsed(body)) for body in unsent}
        kept = {
            number: asked
            for number, asked in self._under_way.items()
            if number in spared or asked is self._initialize
        }
        failed = [number for number in self._under_way if number not in kept]
        self._under_way = kept
        return [encoded(refusal(number, GONE, reason)) for number in failed]

    def refused(self, reason: str) -> list[bytes]:
        """The same where no other sidecar will come: the handshake fails too."""
        failed, self._under_way = list(self._under_way), {}
        if not self._greeted:
            self._initialize = None
        return [encoded(refusal(number, GONE, reason)) for number in failed]

    def replay(self) -> list[bytes]:
        """The handshake, the subscriptions and the streams."""
        messages: list[Json] = []
        if self._initialize is not None:
            own = {"id": f"{OWN}initialize"} if self._greeted else {}
            messages.append({**self._initialize, **own})
            if self._initialized:
                messages.append(notification("notifications/initialized"))
        for uri in self._subscribed:
            params = {"uri": uri}
            again = {"jsonrpc": "2.0", "id": f"{OWN}{uri}", "method": "resources/subscribe"}
            messages.append({**again, "params": params})
        messages += self._listening.values()
        return [encoded(each) for each in messages]

    def resumed(self) -> list[bytes]:
        """Nothing: an agent sees no difference."""
        return []

    def controlled(self, control: Json) -> list[bytes]:
        """That the lists have changed, where the sidecar has others than the manifest told."""
        current = control.get("manifest")
        if not isinstance(current, dict) or current == self._manifest:
            return []
        self._manifest = current
        self._answers.manifest = current
        renew(renewed_path(), current)
        told: list[Json] = []
        if self._initialized and self._told_of_lists:
            told += [notification(f"notifications/{name}/list_changed") for name, _ in _CHANGES]
        for number, message in self._listening.items():
            wanted = message["params"].get("notifications", {})
            meta = {"_meta": {SUBSCRIPTION: number}}
            told += [
                notification(f"notifications/{name}/list_changed", params=meta)
                for name, key in _CHANGES
                if wanted.get(key)
            ]
        return [encoded(each) for each in told]

    def _noted(self, asked: Json) -> None:
        method, uri = asked["method"], asked.get("params", {}).get("uri")
        if method == "initialize":
            self._greeted = True
        elif method == "resources/subscribe":
            self._subscribed[uri] = None
        elif method == "resources/unsubscribe":
            self._subscribed.pop(uri, None)

    def _watched_again(self, uri: str) -> list[bytes]:
        """That a resource may have changed while no sidecar watched it."""
        if uri not in self._subscribed:
            return []
        return [encoded(notification(_UPDATED, params={"uri": uri}))]

    def _unanswering(self, body: bytes) -> list[bytes]:
        """What is no answer; for a second word that a stream has begun, what it may have missed."""
        if ACKNOWLEDGED.encode() not in body[:200]:
            return [body]
        message = parsed(body)
        number = (message.get("params") or {}).get("_meta", {}).get(SUBSCRIPTION)
        if message.get("method") != ACKNOWLEDGED or number not in self._listening:
            return [body]
        if number not in self._acknowledged:
            self._acknowledged.add(number)
            return [body]
        uris = message["params"].get("notifications", {}).get("resourceSubscriptions") or []
        meta = {SUBSCRIPTION: number}
        return [encoded(notification(_UPDATED, params={"uri": uri, "_meta": meta})) for uri in uris]


def _kept(method: str, message: Json) -> Json:
    """As much of a request as is needed until its answer: not a file's content."""
    if method in {"resources/subscribe", "resources/unsubscribe"}:
        params = message.get("params")
        return {"method": method, "params": params if isinstance(params, dict) else {}}
    return {"method": method}


def _bodies(message: Json | None) -> list[bytes]:
    return [] if message is None else [encoded(message)]
