"""An editor's session as a channel sees it: its folders and open texts outlive every sidecar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
from sidecar.channel.texts import Text

# LSP 3.17: the server has cancelled the request; a client asks again where that makes sense.
SERVER_CANCELLED = -32802
_FOLDERS = "workspace/didChangeWorkspaceFolders"
_PUBLISH = b"textDocument/publishDiagnostics"
_REGISTER = b"client/registerCapability"
_PULLS = frozenset({"textDocument/diagnostic", "workspace/diagnostic"})
_AGAIN = {"data": {"retriggerRequest": True}}
_REPLAYED = frozenset({
    "initialize", "initialized", "textDocument/didOpen", "textDocument/didChange",
    "textDocument/didClose", _FOLDERS,
})  # fmt: skip


class Editor:
    """What one client of LSP has said and still waits for.

    ``began`` is called with the first ``initialize``, or with nothing for another first message.
    """

    def __init__(self, began: Callable[[Json], None]) -> None:
        self._began: Callable[[Json], None] | None = began
        self._initialize: Json | None = None
        self._greeted = False
        self._initialized: Json | None = None
        self._units = "utf-16"
        self._refreshes = False
        self._texts: dict[str, Text] = {}
        self._folders: list[Json] = []
        self._under_way: dict[Id, str] = {}
        self._marked: set[str] = set()
        self._registered: set[str] = set()
        self._sidecars = 0
        self.shut_down = False

    @property
    def unanswered(self) -> bool:
        """Whether the client waits for an answer."""
        return bool(self._under_way)

    def asks_plainly(self, _: bytes | None) -> bool:
        """Every message may change what another sidecar must be told."""
        return False

    def answers_plainly(self, _: bytes) -> bool:
        """Every message may be one that the channel answers."""
        return False

    def took(self, body: bytes | None, *, connected: bool) -> tuple[list[bytes], bool]:
        """Note a message; what a replay tells anyway need not wait for a sidecar."""
        message = parsed(body)
        method, number = message.get("method"), request_id(message)
        if self._began is not None:
            began, self._began = self._began, None
            began(message)
        if not isinstance(method, str):
            return [], not is_own(number)
        if number is not None:
            self._under_way[number] = method
        try:
            covered = self._noted(method, message)
        except (KeyError, TypeError, AttributeError):
            covered = False  # the sidecar will say what is wrong with it
        return [], connected or not covered

    def told(self, body: bytes) -> tuple[list[bytes], list[bytes]]:
        """Note an answer or what the sidecar asks and shows."""
        if _PUBLISH in body[-200:] or _PUBLISH in body[:200]:
            self._published(parsed(body))
            return [body], []
        message = parsed(body)
        number = request_id(message)
        if "method" in message:
            if _REGISTER in body and self._knows(message):
                return [], [encoded({"jsonrpc": "2.0", "id": number, "result": None})]
            return [body], []
        if is_own(number):
            return [], []
        if number is not None:
            method = self._under_way.pop(number, None)
            if method == "initialize" and "result" in message:
                self._greeted = True
                told = message["result"].get("capabilities", {})
                self._units = told.get("positionEncoding", "utf-16")
        return [body], []

    def lost(self, reason: str, unsent: Sequence[bytes | None] = ()) -> list[bytes]:
        """An error for each request that nobody will answer now."""
        spared = {request_id(parsed(body)) for body in unsent}
        return self._fail(reason, lambda number, method: number in spared or method == "initialize")

    def refused(self, reason: str) -> list[bytes]:
        """The same where no other sidecar will come: the handshake fails too."""
        return self._fail(reason, lambda *_: False)

    def _fail(self, reason: str, spared: Callable[[Id, str], bool]) -> list[bytes]:
        failed = {n: method for n, method in self._under_way.items() if not spared(n, method)}
        for number in failed:
            del self._under_way[number]
        return [
            encoded(
                refusal(number, SERVER_CANCELLED, reason, **(_AGAIN if method in _PULLS else {}))
            )
            for number, method in failed.items()
        ]

    def replay(self) -> list[bytes]:
        """The handshake, the folders, and every open text as it is now."""
        messages: list[Json] = []
        if self._initialize is not None:
            own = {"id": f"{OWN}initialize"} if self._greeted else {}
            messages.append({**self._initialize, **own})
        if self._initialized is not None:
            messages += [self._initialized, *self._folders]
        messages += [
            notification("textDocument/didOpen", params={"textDocument": text.item()})
            for text in self._texts.values()
        ]
        if self.shut_down:
            messages.append({"jsonrpc": "2.0", "id": f"{OWN}shutdown", "method": "shutdown"})
        return [encoded(each) for each in messages]

    def resumed(self) -> list[bytes]:
        """Findings in closed files are taken back, for the next sidecar to find them anew."""
        told: list[Json] = [
            notification("textDocument/publishDiagnostics", params={"uri": uri, "diagnostics": []})
            for uri in sorted(self._marked - self._texts.keys())
        ]
        self._marked &= self._texts.keys()
        if self._refreshes and self._greeted:
            self._sidecars += 1
            refresh = {"jsonrpc": "2.0", "id": f"{OWN}refresh:{self._sidecars}"}
            told.append({**refresh, "method": "workspace/diagnostic/refresh"})
        return [encoded(each) for each in told]

    def controlled(self, _: Json) -> list[bytes]:
        """Nothing: no word of the sidecar is for an editor."""
        return []

    def _noted(self, method: str, message: Json) -> bool:
        """Keep what another sidecar must be told; whether a replay tells this message."""
        params: Any = message.get("params")
        if method == "initialize":
            if self._initialize is None and request_id(message) is not None:
                self._initialize = message
                workspace = params["capabilities"].get("workspace") or {}
                self._refreshes = bool((workspace.get("diagnostics") or {}).get("refreshSupport"))
                return True
            return False
        if method == "initialized":
            self._initialized = message
        elif method == _FOLDERS:
            self._folders.append(message)
        elif method == "textDocument/didOpen":
            item = params["textDocument"]
            self._texts[item["uri"]] = Text({**item, "text": str(item["text"])}, self._units)
        elif method == "textDocument/didChange":
            text = self._texts.get(params["textDocument"]["uri"])
            if text is None:
                return False
            text.change(params)
        elif method == "textDocument/didClose":
            self._texts.pop(params["textDocument"]["uri"], None)
        elif method == "shutdown":
            self.shut_down = True
        return method in _REPLAYED

    def _published(self, message: Json) -> None:
        params = message.get("params") or {}
        uri = params.get("uri")
        if isinstance(uri, str):
            (self._marked.add if params.get("diagnostics") else self._marked.discard)(uri)

    def _knows(self, message: Json) -> bool:
        """Whether the client has registered all of this for an earlier sidecar already."""
        asked = {
            str(each.get("id")) for each in (message.get("params") or {}).get("registrations", [])
        }
        known = asked <= self._registered
        self._registered |= asked
        return known
