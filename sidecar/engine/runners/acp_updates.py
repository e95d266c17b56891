"""What an agent tells of its work over the protocol, as events: texts whole, calls by their id."""

from __future__ import annotations

from typing import Any

from sidecar.engine.runner import Event
from sidecar.engine.runners.dialects import tool_event
from sidecar.engine.runners.record import Record

MAX_PIECE = 8_000
MAX_LAST_TEXT = 4_000
_ENDED = {"completed": "ended", "failed": "failed"}


class Updates:
    """The session's notifications so far.

    Read from the raw messages, so that a kind which the library does not know yet is no loss.
    """

    def __init__(self, record: Record) -> None:
        self.last_text = ""
        self.cost: float | None = None
        self.denied = 0
        self.has_work = False
        self._record = record
        self._pieces: list[str] = []
        self._is_new = True
        self._calls: dict[str, dict[str, Any]] = {}

    def take(self, message: dict[str, Any]) -> None:
        """Read one incoming message."""
        if message.get("method") != "session/update":
            return
        params = message.get("params")
        update = params.get("update") if isinstance(params, dict) else None
        if not isinstance(update, dict):
            return
        kind = update.get("sessionUpdate")
        if kind == "agent_message_chunk":
            self._text(update.get("content"))
        elif kind in ("tool_call", "tool_call_update"):
            self.flush()
            self._call(update)
        elif kind == "usage_update":
            self._cost(update.get("cost"))

    def flush(self) -> None:
        """Tell the text that has come in pieces."""
        text = "".join(self._pieces)
        self._pieces.clear()
        if text.strip():
            self._record(Event("text", text))
        self._is_new = True

    def described(self, call: Any) -> tuple[str, tuple[str, ...]]:
        """The kind of a call that is asked for, and what it is called, as told now or before."""
        known = self._calls.get(call.tool_call_id, {})
        kind = call.kind or known.get("kind") or ""
        names = [call.title, known.get("title"), *_named(call.raw_input)]
        return str(kind), tuple(dict.fromkeys(str(name) for name in names if name))

    def _text(self, content: Any) -> None:
        text = content.get("text") if isinstance(content, dict) else None
        if not isinstance(text, str) or not text:
            return
        self.has_work = True
        self.last_text = (text if self._is_new else self.last_text + text)[-MAX_LAST_TEXT:]
        self._is_new = False
        self._pieces.append(text)
        if sum(map(len, self._pieces)) > MAX_PIECE:
            whole = "".join(self._pieces)
            self._pieces.clear()
            self._record(Event("text", whole))

    def _call(self, update: dict[str, Any]) -> None:
        self.has_work = True
        call_id = str(update.get("toolCallId"))
        is_first = call_id not in self._calls
        known = self._calls.setdefault(call_id, {})
        known |= {key: update[key] for key in ("title", "kind") if update.get(key)}
        state = _ENDED.get(str(update.get("status")))
        if is_first or state:
            data = {key: update.get(key) for key in ("kind", "rawInput", "rawOutput", "locations")}
            data = {key: value for key, value in data.items() if value}
            self._record(tool_event(known.get("title"), call_id, state or "begun", data))

    def _cost(self, cost: Any) -> None:
        amount = cost.get("amount") if isinstance(cost, dict) else None
        if isinstance(amount, (int, float)):
            self.cost = float(amount)


def _named(raw: Any) -> list[str]:
    """The tool's own name, where an agent tells it beside a title for people."""
    if not isinstance(raw, dict):
        return []
    return [raw[key] for key in ("toolName", "tool_name", "tool") if isinstance(raw.get(key), str)]
