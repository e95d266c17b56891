"""An editor with a person at it: it keeps texts and versions, takes changes and can undo them."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.channel.clients import Editor

Json = dict[str, Any]
# What editors say that let others change their texts, and check the version themselves.
TAKES = {"workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}}}


class TypingEditor(Editor):
    """Answers `workspace/applyEdit` as an editor does; ``before`` acts at the moment it comes."""

    def __init__(self, root: Path, *options: str) -> None:
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.undone: dict[str, list[str]] = {}
        self.asked: list[Json] = []
        self.told: list[str] = []
        self.unanswered: list[Json] = []
        self.before: Callable[[], str | None] = lambda: None
        self._guard = threading.RLock()
        super().__init__(root, *options)

    def begin(self, **capabilities: Any) -> None:
        """Initialize as an editor that takes changes."""
        self.initialize(**{**TAKES, **capabilities})

    def type(self, name: str, text: str) -> None:
        """Show another text of a file, without saving it."""
        with self._guard:
            if name not in self.texts:
                self.texts[name], self.versions[name] = text, 1
                self.open(name, text)
                return
            self._show(name, text)

    def undo(self, name: str) -> None:
        """Take the last change back."""
        with self._guard:
            self._show(name, self.undone[name].pop())
            self.undone[name].pop()

    def _show(self, name: str, text: str) -> None:
        self.undone.setdefault(name, []).append(self.texts[name])
        self.texts[name] = text
        self.versions[name] += 1
        self.change(name, self.versions[name], {"text": text})

    def send(self, method: str, params: Any = None, number: Any = None) -> None:
        """Send a message; the reader sends, too."""
        with self._guard:
            super().send(method, params, number)

    def _answer(self, number: Any, result: Json) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
        with self._guard:
            self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            self.process.stdin.flush()

    def _read(self) -> None:
        out = self.process.stdout
        while header := out.readline():
            out.readline()
            message = json.loads(out.read(int(header.partition(b":")[2])))
            if message.get("method") == "workspace/applyEdit":
                self._asked(message)
            elif message.get("method") == "window/showMessage":
                self.told.append(message["params"]["message"])
            else:
                self._messages.put(message)
        self._messages.put(None)

    def _asked(self, message: Json) -> None:
        params = message["params"]
        self.asked.append(params)
        how = self.before()
        if how == "dies":
            os.kill(self.process.pid, signal.SIGKILL)
        elif how == "refuses":
            self._answer(message["id"], {"applied": False, "failureReason": "no"})
        elif how == "is silent":
            self.unanswered.append(message)
        elif how == "lies":
            self._answer(message["id"], {"applied": True})
        else:
            with self._guard:
                self._answer(message["id"], {"applied": self._applied(params["edit"])})

    def _applied(self, edit: Json) -> bool:
        if "changes" in edit:
            [(uri, edits)] = edit["changes"].items()
            version = None
        else:
            [change] = edit["documentChanges"]
            uri, edits = change["textDocument"]["uri"], change["edits"]
            version = change["textDocument"]["version"]
        name = uri.removeprefix(self.root.as_uri() + "/")
        if version not in {None, self.versions[name]}:
            return False
        text = self.texts[name]
        places = [
            (_offset(text, e["range"]["start"]), _offset(text, e["range"]["end"]), e["newText"])
            for e in edits
        ]
        for start, end, new in sorted(places, reverse=True):
            text = text[:start] + new + text[end:]
        self._show(name, text)
        return True

    def answer_late(self) -> None:
        """Refuse what was asked long ago."""
        for message in self.unanswered:
            self._answer(message["id"], {"applied": False})


def _offset(text: str, place: dict[str, int]) -> int:
    """A place in UTF-16 units as code points."""
    lines = text.split("\n")
    before = sum(len(line) + 1 for line in lines[: place["line"]])
    units = lines[place["line"]].encode("utf-16-le")[: place["character"] * 2]
    return before + len(units.decode("utf-16-le"))
