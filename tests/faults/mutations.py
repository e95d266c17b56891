"""Messages of JSON-RPC, random and mutated: what no well-meaning client ever sends."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
REQUESTS: list[tuple[str, Any]] = [
    ("ping", None), ("ping", {"_meta": META}), ("tools/list", {}), ("tools/list", {"cursor": "x"}),
    ("tools/call", {"name": "get_todo_status", "arguments": {"limit": 1}}),
    ("tools/call", {"name": "read_project_file", "arguments": {"file_path": "TODO.md"}}),
    ("tools/call", {"name": "list_project_structure", "arguments": {"limit": 2}, "_meta": META}),
    ("tools/call", {"name": "search_in_files", "arguments": {"pattern": "x", "max_matches": 1}}),
    ("tools/call", {"name": "get_schedule_status", "arguments": {"limit": 1}}),
    ("resources/list", {}), ("resources/read", {"uri": "sidecar://todo"}), ("prompts/list", {}),
    ("resources/templates/list", {}), ("prompts/get", {"name": "plan", "arguments": {"goal": "x"}}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "plan"},
                             "argument": {"name": "goal", "value": "x"}}),
    ("logging/setLevel", {"level": "info"}), ("server/discover", {"_meta": META}),
    ("resources/subscribe", {"uri": "sidecar://todo"}), ("nothing/such", {"x": 1}),
]  # fmt: skip
NOTIFICATIONS = [
    ("notifications/initialized", None), ("notifications/roots/list_changed", {}),
    ("notifications/cancelled", {"requestId": "nothing"}),
    ("notifications/progress", {"progressToken": "t", "progress": 1}),
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**53, 2**64, -(2**63), 10**40, 1e308, "", "x", "\0", "\u2028",
    "é😀", "x" * 10_000, [], [[]], {}, {"": ""}, [None] * 50, {"a": {"b": {"c": [1, {"d": 2}]}}},
    "../../etc/passwd", "2026-07-28", "1999-01-01", "tools/call", "$/x", {"_meta": META}, ["2.0"],
]  # fmt: skip


@dataclass(frozen=True)
class Message:
    """One line, the id under which it must be answered, and whether it may pass unanswered."""

    line: bytes
    known_id: str | None
    may_be_silent: bool


def _paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*above, key)
        if isinstance(inner, dict | list):
            yield from _paths(inner, (*above, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


class Mutator:
    """An endless source of messages, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._count = 0

    def message(self) -> Message:
        """The next message."""
        self._count += 1
        chance, own = self._chance, f"id-{self._count}"
        kind = chance.random()
        if kind < 0.08:
            return self._told(
                bytes(chance.randbytes(chance.randrange(1, 200))).replace(b"\n", b" ")
            )
        value = self._whole(own)
        if kind < 0.25:
            return self._told(self._bytes(json.dumps(value).encode()))
        for _ in range(chance.choice([0, 1, 1, 1, 2, 4])):
            self._spoil(value)
        return self._told(json.dumps(value, ensure_ascii=chance.random() < 0.5).encode())

    def _whole(self, own: str) -> dict[str, Any]:
        chance = self._chance
        message: dict[str, Any] = {"jsonrpc": "2.0"}
        if chance.random() < 0.15:
            method, params = chance.choice(NOTIFICATIONS)
        else:
            message["id"] = own
            method, params = chance.choice(REQUESTS)
        message["method"] = method
        if params is not None:
            message["params"] = copy.deepcopy(params)
        if chance.random() < 0.05:
            del message["method"]
            message["result"] = {}
        return message

    def _spoil(self, value: dict[str, Any]) -> None:
        chance = self._chance
        path = chance.choice([*_paths(value), ("extra",)])
        holder, key = _at(value, path[:-1]), path[-1]
        if isinstance(holder, dict) and key in holder and chance.random() < 0.3:
            del holder[key]
            if chance.random() < 0.3:
                holder[str(key).swapcase()] = copy.deepcopy(chance.choice(VALUES))
        else:
            holder[key] = copy.deepcopy(chance.choice(VALUES))

    def _bytes(self, line: bytes) -> bytes:
        chance, data = self._chance, bytearray(line)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(data))
            match chance.randrange(5):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randrange(1, 20)]
                case 2:
                    data[at:at] = chance.randbytes(chance.randrange(1, 5))
                case 3:
                    data[at:at] = data[at : at + chance.randrange(1, 30)]
                case _:
                    data[at:at] = chance.choice([b"[" * 300, b"{", b"}", b'"', b"\\u", b"e999"])
            data = data or bytearray(b"{")
        return bytes(data).replace(b"\n", b" ")

    def _told(self, line: bytes) -> Message:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return Message(line, None, may_be_silent=not line.strip())
        if not isinstance(value, dict):
            return Message(line, None, may_be_silent=False)
        known = value.get("id")
        # With two keys of one name, or text that strict readers refuse, the id may be unreadable.
        clear = isinstance(known, str) and known.startswith("id-") and line.count(b'"id"') == 1
        silent = "id" not in value or "method" not in value
        certain = clear and isinstance(value.get("method"), str) and not silent
        return Message(line, str(known) if certain else None, may_be_silent=silent)
