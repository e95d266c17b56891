"""What each agent's lines of JSON mean: what it did, and whether its last word was success.

An exit code of 0 proves nothing: an agent that is interrupted, or that does not know the mode it
was asked for, may well exit so. The formats are those that the agents printed in runs of their
own (Cline 3.0.65, Claude Code 2.1.330, Codex 0.169.0, Gemini CLI 0.61.0, opencode 1.18.33), and
those of the documentation for Roo, Kilo and Qwen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.engine.runner import Event

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """An agent's last word on its work."""

    succeeded: bool
    reason: str
    text: str = ""
    tokens: int | None = None
    cost: float | None = None


Dialect = Callable[[Json], Iterator[Event | Verdict]]


class Reading:
    """An agent's output so far; ``verdict`` is None until a final event, and again after it.

    Work that follows a final event takes it back: only the last one counts.
    """

    def __init__(self, dialect: Dialect, tell: Callable[[Event], None]) -> None:
        self.verdict: Verdict | None = None
        self.last_text = ""
        self._dialect = dialect
        self._tell = tell

    def take(self, line: str) -> None:
        """Read one line; what is no JSON object is kept as text."""
        if not line.strip():
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._tell(Event("text", line, {"raw": True}))
            return
        for each in self._dialect(message):
            if isinstance(each, Verdict):
                self.verdict = each
                continue
            if each.kind in ("text", "tool"):
                self.verdict = None
            if each.kind == "text":
                self.last_text = each.text
            self._tell(each)


def tool_event(name: Any, call: Any, state: str, data: Any = None) -> Event:
    """A tool call at its begin or end, by its id."""
    return Event("tool", str(name or "?"), {"id": str(call or ""), "state": state, "data": data})


def cline(message: Json) -> Iterator[Event | Verdict]:
    """Cline: ``run_result`` with finishReason ``completed``."""
    if message.get("type") == "run_result":
        reason = str(message.get("finishReason"))
        usage = _table(message, "aggregateUsage") or _table(message, "usage")
        yield Verdict(
            reason == "completed",
            f"Cline finished: {reason}.",
            str(message.get("text") or ""),
            _sum(usage, "inputTokens", "outputTokens"),
            _number(usage, "totalCost"),
        )
        return
    if message.get("type") == "error":
        yield Event("warning", str(message.get("message") or message.get("error") or "error"))
        return
    event = _table(message, "event")
    kind, content = event.get("type"), event.get("contentType")
    if content == "tool" and kind in ("content_start", "content_end"):
        state, data = ("begun", "input") if kind == "content_start" else ("ended", "output")
        yield tool_event(event.get("toolName"), event.get("toolCallId"), state, event.get(data))
    elif content == "text" and kind == "content_end":
        yield Event("text", str(event.get("text") or ""))
    elif kind == "error":
        yield Event("warning", str(event.get("error") or event.get("message") or "error"))


def claude(message: Json) -> Iterator[Event | Verdict]:
    """Claude Code, and Qwen Code in the same form: ``result`` of subtype ``success``."""
    kind = message.get("type")
    if kind == "result":
        is_success = message.get("subtype") == "success" and message.get("is_error") is False
        usage = _table(message, "usage")
        yield Verdict(
            is_success,
            f"The agent ended with {message.get('subtype')}"
            f"{', which is an error' if message.get('is_error') else ''}.",
            str(message.get("result") or ""),
            _sum(usage, "input_tokens", "output_tokens"),
            _number(message, "total_cost_usd"),
        )
    elif kind in ("assistant", "user"):
        for block in _blocks(_table(message, "message").get("content")):
            yield from _claude_block(block)


def _claude_block(block: Json) -> Iterator[Event]:
    if block.get("type") == "text":
        yield Event("text", str(block.get("text") or ""))
    elif block.get("type") == "tool_use":
        yield tool_event(block.get("name"), block.get("id"), "begun", block.get("input"))
    elif block.get("type") == "tool_result":
        state = "failed" if block.get("is_error") else "ended"
        yield tool_event("result", block.get("tool_use_id"), state, block.get("content"))


def codex(message: Json) -> Iterator[Event | Verdict]:
    """Codex: ``turn.completed``; ``turn.failed`` otherwise."""
    kind = str(message.get("type"))
    item = _table(message, "item")
    if kind == "turn.completed":
        tokens = _sum(_table(message, "usage"), "input_tokens", "output_tokens")
        yield Verdict(succeeded=True, reason="Codex completed its turn.", tokens=tokens)
    elif kind == "turn.failed":
        told = _table(message, "error").get("message")
        yield Verdict(succeeded=False, reason=f"Codex failed its turn: {told}.")
    elif kind == "error":
        yield Event("warning", str(message.get("message")))
    elif kind in ("item.started", "item.completed"):
        yield from _codex_item(item, "begun" if kind == "item.started" else "ended")


def _codex_item(item: Json, state: str) -> Iterator[Event]:
    kind = item.get("type")
    if kind == "agent_message":
        yield Event("text", str(item.get("text") or ""))
    elif kind == "error":
        yield Event("warning", str(item.get("message")))
    elif kind not in (None, "reasoning", "todo_list"):
        name = item.get("tool") or item.get("command") or kind
        yield tool_event(name, item.get("id"), _codex_state(item, state), dict(item))


def _codex_state(item: Json, state: str) -> str:
    return "failed" if item.get("status") in ("failed", "declined") else state


def gemini(message: Json) -> Iterator[Event | Verdict]:
    """Gemini CLI: ``result`` with status ``success``."""
    kind = message.get("type")
    if kind == "result":
        status = message.get("status")
        told = _table(message, "error").get("message")
        tokens = _number(_table(message, "stats"), "total_tokens")
        why = f"Gemini CLI ended with {status}{f': {told}' if told else ''}."
        yield Verdict(status == "success", why, tokens=int(tokens) if tokens is not None else None)
    elif kind == "message" and message.get("role") == "assistant":
        yield Event("text", str(message.get("content") or ""))
    elif kind == "tool_use":
        name, call = message.get("tool_name"), message.get("tool_id")
        yield tool_event(name, call, "begun", message.get("parameters"))
    elif kind == "tool_result":
        state = "ended" if message.get("status") == "success" else "failed"
        yield tool_event("result", message.get("tool_id"), state, message.get("output"))
    elif kind == "error":
        yield Event("warning", str(message.get("message")))


def opencode(message: Json) -> Iterator[Event | Verdict]:
    """The last ``step_finish`` of opencode, and of Kilo in the same form, has the reason stop."""
    kind, part = message.get("type"), _table(message, "part")
    if kind == "text":
        yield Event("text", str(part.get("text") or ""))
    elif kind == "tool_use":
        state = _table(part, "state")
        word = "failed" if state.get("status") == "error" else "ended"
        yield tool_event(part.get("tool"), part.get("callID"), word, dict(state))
    elif kind == "step_finish" and part.get("reason") != "tool-calls":
        reason = str(part.get("reason"))
        tokens = _number(_table(part, "tokens"), "total")
        yield Verdict(
            reason == "stop",
            f"The agent's last step ended with {reason}.",
            tokens=int(tokens) if tokens is not None else None,
            cost=_number(part, "cost"),
        )
    elif kind == "error":
        error = _table(message, "error")
        told = _table(error, "data").get("message") or error.get("name") or "an error"
        yield Verdict(succeeded=False, reason=f"The agent reported: {told}.")


def roo(message: Json) -> Iterator[Event | Verdict]:
    """Roo: ``result`` with ``success``; the parts of a text that is not done yet are left out."""
    kind = message.get("type")
    if kind == "result":
        cost = _table(message, "cost")
        yield Verdict(
            message.get("success") is True,
            f"Roo ended {'well' if message.get('success') is True else 'without success'}.",
            str(message.get("content") or ""),
            _sum(cost, "inputTokens", "outputTokens"),
            _number(cost, "totalCost"),
        )
    elif kind in ("assistant", "text") and message.get("done", True):
        yield Event("text", str(message.get("content") or ""))
    elif kind == "tool_use":
        tool = _table(message, "tool_use")
        yield tool_event(tool.get("name"), message.get("id"), "begun", tool.get("input"))
    elif kind == "error":
        yield Event("warning", str(message.get("content") or message.get("code") or "error"))


def _table(value: Json, key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [each for each in content or () if isinstance(each, dict)]


def _number(values: Json, key: str) -> float | None:
    found = values.get(key)
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    return float(found) if is_number and found is not None else None


def _sum(values: Json, *keys: str) -> int | None:
    numbers = [number for key in keys if (number := _number(values, key)) is not None]
    return int(sum(numbers)) if numbers else None
