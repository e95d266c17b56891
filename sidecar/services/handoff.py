"""What the asking client can act upon: a ready tool call, or the same as plain instructions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.services.mode_choice import Mode
from sidecar.services.task_queue import Task

# These products have modes and a `new_task` tool with exactly these arguments.
_WITH_MODES = ("roo", "zoo", "kilo", "bob")
MAX_ROLE = 4_000
CALL_ALONE = "Call this tool alone, as the last one of your turn."


def has_modes(client: str) -> bool:
    """Whether a client of that name switches modes itself."""
    return any(word in client.lower() for word in _WITH_MODES)


def for_client(client: str, task: Task, mode: Mode | None) -> dict[str, Any]:
    """The call of ``new_task`` for clients with modes, plain instructions for all others."""
    if has_modes(client) and task.mode is not None:
        arguments = {
            "mode": task.mode,
            "message": message(task),
            "todos": checklist(task.requirements) or None,
        }
        return {"tool": "new_task", "arguments": arguments, "note": CALL_ALONE}
    return {"instructions": "\n\n".join(_parts(task, mode))}


def message(task: Task) -> str:
    """The task with its context and the calls that report on it."""
    lines = [task.description]
    if task.context:
        lines.append("Context:\n" + "\n".join(_lines(task.context)))
    if task.deadline is not None:
        lines.append(f"Deadline: {task.deadline:%Y-%m-%dT%H:%M:%SZ}")
    claim = json.dumps({"action": "claim", "task_id": task.id})
    lines.append(
        f"First call delegate_task {claim}; at the end call it with action complete or fail, the"
        f" task_id, the lease_token it returned, and a short result."
    )
    return "\n\n".join(lines)


def checklist(requirements: Mapping[str, Any]) -> str:
    """The requirements as the lines of a Markdown checklist."""
    return "\n".join(f"[ ] {line.removeprefix('- ')}" for line in _lines(requirements))


def _parts(task: Task, mode: Mode | None) -> Iterator[str]:
    if mode is not None:
        yield f"Work as {mode.name}: {mode.role_definition.strip()[:MAX_ROLE]}"
    yield message(task)
    if task.requirements:
        yield checklist(task.requirements)


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, list):
            yield from (f"- {_one_line(each)}" for each in value)
        else:
            yield f"- {key}: {_one_line(value)}"


def _one_line(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())
