"""What whoever takes the loop a step further must know: one pack for agents and for prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.domain.modes_catalog import STAGES, Family
from sidecar.services import failures, validation_runs
from sidecar.services.calling import called
from sidecar.services.context import Context
from sidecar.services.escalation import escalations
from sidecar.services.registry import resolve
from sidecar.services.validation import run_validation

MAX_PART = 4_000
DUE_WITHIN_SECONDS = 3_600
MAX_FAILURES = 10


@dataclass(frozen=True)
class Part:
    """One heading of the pack, and what stands under it."""

    title: str
    text: str

    def told(self) -> str:
        """The part as Markdown."""
        return f"## {self.title}\n{self.text}"


def pack(context: Context, stage: str | None, *, most: int = MAX_PART) -> list[Part]:
    """The facts of this moment; no part is longer than ``most`` characters and a mark."""
    parts: list[tuple[str, Callable[[], str]]] = [
        ("Stage", lambda: _stage(stage)),
        ("Due work", lambda: _due(context)),
        ("Open plan items", lambda: _asked(context, "get_todo_status", limit=20)),
        ("Recent failures", lambda: "\n".join(_failures(context)) or "None is on record."),
        ("Memory", lambda: _asked(context, "get_persistent_memory", limit=5)),
        ("Last validation", lambda: _validation(context)),
    ]
    return [Part(title, cut(_said(text), most)) for title, text in parts]


def tool_part(context: Context, title: str, tool: str, **arguments: Any) -> Part:
    """A tool's text form under a heading; what refuses says why."""
    return Part(title, cut(_said(lambda: _asked(context, tool, **arguments)), MAX_PART))


def following(stage: Family) -> Family:
    """The stage of the loop that comes after one; the first follows the last."""
    return STAGES[(STAGES.index(stage) + 1) % len(STAGES)]


def cut(text: str, most: int) -> str:
    """The text, or as much of it as is allowed, with a mark."""
    return text if len(text) <= most else f"{text[:most]}…"


def _said(text: Callable[[], str]) -> str:
    try:
        return text()
    except SidecarError as error:
        return str(error)


def _asked(context: Context, tool: str, **arguments: Any) -> str:
    return called(resolve(tool), context, arguments).summary()


def _stage(stage: str | None) -> str:
    order = " -> ".join(name.capitalize() for name in STAGES)
    known = next((name for name in STAGES if name == stage), None)
    if known is None:
        return f"{order} -> again. Which of them this is, nobody has said."
    return f"{order} -> again. This is {known}; {following(known)} comes next."


def _due(context: Context) -> str:
    return _asked(context, "get_schedule_status", due_within_seconds=DUE_WITHIN_SECONDS, limit=10)


def _failures(context: Context) -> Iterator[str]:
    """What failed and has not succeeded since, then what waits for a person; the newest first."""
    counted = sorted(failures.everything(context).items(), key=lambda each: each[1].last_at)
    for name, each in counted[::-1][:MAX_FAILURES]:
        state = "stopped" if each.blocked else f"{each.count} in a row"
        yield f"- {name}: {state}, last at {each.last_at}: {each.last_error}"
    waiting = [each for each in escalations(context) if not each.resumed_at]
    for record in waiting[::-1][:MAX_FAILURES]:
        yield f"- {record.subject} waits for a person since {record.at}: {record.reason}"


def _validation(context: Context) -> str:
    run_id = validation_runs.latest_id(context)
    if run_id is None:
        return "None has run here yet."
    return run_validation.call(context, {"run_id": run_id, "wait_seconds": 0}).summary()
