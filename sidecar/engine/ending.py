"""The last step of a run: what it came to, and everything that has to be noted of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.domain.run import Origin, RunRequest, RunState, run_name
from sidecar.engine import (
    checkpointing,
    escalation_hook,
    restoring,
    run_folder,
    run_memory,
    time_row,
)
from sidecar.engine.run_folder import RunFolder
from sidecar.engine.run_memory import RunMemory
from sidecar.services import escalation, failures, schedule_bookkeeping, suspensions
from sidecar.services.context import Context
from sidecar.services.memory_log import append_memory

SECTION = "system_updates"
MAX_RESULT = 4_000
STATES = {
    "succeeded": RunState.SUCCEEDED,
    "failed": RunState.FAILED,
    "timed-out": RunState.TIMED_OUT,
    "cancelled": RunState.CANCELLED,
    "handed-off": RunState.READY,
}
_FAILED = ("failed", "timed-out")


@dataclass
class Ending:
    """The end of one run; every method finds what an earlier try of it has done."""

    context: Context
    request: RunRequest
    memory: RunMemory
    outcomes: list[dict[str, Any]]
    started: datetime
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def last(self) -> dict[str, Any]:
        """The outcome of the last attempt; without any the run was interrupted."""
        return self.outcomes[-1] if self.outcomes else {}

    @property
    def state(self) -> RunState:
        """What the last attempt came to."""
        return STATES.get(str(self.last.get("status")), RunState.INTERRUPTED)

    @property
    def operation(self) -> str:
        """The name under which failures are counted: the schedule's or the task's."""
        if self.request.origin is Origin.TASK:
            return f"task:{self.request.subject}"
        return suspensions.operation(self.request.subject)

    def finish(self) -> dict[str, Any]:
        """Do everything that is left to do; returns the record's fields."""
        state = self.state
        self._roll_back(state)
        counted = self._count(state)
        if counted["blocked"] and state in {RunState.FAILED, RunState.TIMED_OUT}:
            state = RunState.ESCALATED
        self._close_row(state)
        self._note_schedule()
        reason = self._reason()
        if state is RunState.ESCALATED:
            self._escalate(counted["count"], reason)
        else:
            self._remember(state, counted, reason)
        return self._told(state, reason)

    def abandon(self, state: RunState) -> None:
        """Close the row of a run that nobody will finish: aborted, or ended before it began."""
        self._close_row(state)
        self.memory.put(ended_at=self.context.clock().isoformat(timespec="milliseconds"))
        checkpointing.forget(self.context, self.memory.name)

    def _roll_back(self, state: RunState) -> None:
        if state not in {RunState.FAILED, RunState.TIMED_OUT} or not self.memory.get("checkpoint"):
            return
        self.facts["rollback"] = self.memory.once("rollback", self._restored)

    def _restored(self) -> list[dict[str, Any]]:
        checkpoint = checkpointing.find(self.context, self.memory.name)
        if checkpoint is None:
            return [
                {"path": "", "done": False, "told": "the checkpoint is gone; nothing is undone"}
            ]
        files = restoring.touched(self.context, self.outcomes)
        return restoring.restore(self.context, checkpoint, files)

    def _count(self, state: RunState) -> dict[str, Any]:
        counted: dict[str, Any] = self.memory.once("counted", lambda: self._counted(state))
        return counted

    def _counted(self, state: RunState) -> dict[str, Any]:
        before = failures.of(self.context, self.operation)
        after = before
        if state is RunState.SUCCEEDED:
            failures.forget(self.context, self.operation)
            after = failures.Failures()
        elif errors := [_error(each) for each in self.outcomes if each.get("status") in _FAILED]:
            run_id = self.request.run_id
            after = failures.add_run(self.context, self.operation, run_id, errors)
        return {"before": before.count, "count": after.count, "blocked": after.blocked}

    def _close_row(self, state: RunState) -> None:
        self.facts["row"] = self.memory.once(
            "row",
            lambda: time_row.close(
                self.context, self.request, self.memory.name, self.started, state
            ),
        )

    def _note_schedule(self) -> None:
        """Note the run in its schedule, if it is one's; a busy editor delays that, no more."""
        if self.request.origin is Origin.TASK:
            return
        self.facts["bookkeeping"] = self.memory.once(
            "bookkeeping",
            lambda: schedule_bookkeeping.note_run(
                self.context, self.request.subject, started=self.started, task_id=self.memory.name
            ),
        )

    def _reason(self) -> str:
        parts = [_error(self.last) if self.outcomes else "No attempt came to its end."]
        undone = self.facts.get("rollback")
        if undone:
            done = [each["path"] for each in undone if each["done"]]
            kept = [f"{each['path']} {each['told']}" for each in undone if not each["done"]]
            parts.append(f"Rolled back: {', '.join(done[:10]) or 'nothing'}.")
            if kept:
                parts.append(f"Kept: {'; '.join(kept[:10])}.")
        return " ".join(part.strip() for part in parts if part.strip())

    def _escalate(self, count: int, reason: str) -> None:
        record_id = f"esc-{self.memory.name}"
        if self.request.origin is not Origin.TASK:
            self.memory.once("suspended", lambda: self._suspended(record_id, reason))
        label = " ".join(self.request.label.split())[:80]
        what = "Task" if self.request.origin is Origin.TASK else "Schedule"
        record = escalation.escalate(
            self.context,
            f"{what} {self.request.subject} ({label})",
            attempts=count,
            reason=reason,
            record_id=record_id,
            mode=self.request.mode or "",
        )
        failures.escalated(self.context, self.operation, record.id)
        self.facts |= {"escalation": record.id, "memory": record.noted}
        called = escalation_hook.call
        self.facts["hook"] = self.memory.once(
            "hook", lambda: called(self.context, self.request, record.model_dump(mode="json"))
        )

    def _suspended(self, record_id: str, reason: str) -> bool:
        suspensions.suspend(
            self.context, self.request.subject, reason, cause="escalation", record=record_id
        )
        return True

    def _remember(self, state: RunState, counted: dict[str, Any], reason: str) -> None:
        """One entry for what a later reader must know; a run like any other needs none."""
        if state is RunState.SUCCEEDED and counted["before"]:
            category = "RECOVERED"
            told = f"It works again after {counted['before']} failures in a row."
        elif state in {RunState.FAILED, RunState.TIMED_OUT, RunState.INTERRUPTED}:
            category, told = state.value.upper(), reason
        else:
            return
        content = f"{self.request.label} ({self.memory.name}): {told}"[:MAX_RESULT]
        mode = self.request.mode or ""
        try:
            append_memory(
                self.context,
                SECTION,
                content,
                category=category,
                mode=mode,
                entry_id=self.memory.name,
            )
            self.facts["memory"] = True
        except SidecarError as error:
            self.facts["memory"] = str(error)

    def _told(self, state: RunState, reason: str) -> dict[str, Any]:
        self.facts |= {
            "task_id": self.memory.name,
            "attempts": sum(each.get("status") != "handed-off" for each in self.outcomes),
            "changed": sum(int(each.get("changed", 0)) for each in self.outcomes),
            "tool_calls": _sum(self.outcomes, "tool_calls"),
            "tokens": _sum(self.outcomes, "tokens"),
            "cost": _sum(self.outcomes, "cost"),
        }
        told = {
            "state": state.value,
            "reason": reason,
            "result": str(self.last.get("text") or "")[:MAX_RESULT],
            "facts": {name: value for name, value in self.facts.items() if value is not None},
        }
        now = self.context.clock().isoformat(timespec="milliseconds")
        folder = RunFolder(self.context.workspace.state, self.memory.name)
        folder.write_json("report.json", {"run": self.request.run_id, "ended": now, **told})
        self.memory.put(finished=told, ended_at=now)
        checkpointing.forget(self.context, self.memory.name)
        self._forget_old()
        return told

    def _forget_old(self) -> None:
        ended = sorted(
            (str(notes["ended_at"]), run_name(run_id))
            for run_id, notes in run_memory.begun(self.context).items()
            if notes.get("ended_at")
        )
        run_folder.forget_old(self.context.workspace.state, [name for _, name in ended])
        run_memory.forget_old(self.context)


def _error(outcome: dict[str, Any]) -> str:
    """Why an attempt ended, in one line."""
    return " ".join(str(outcome.get("reason") or "no reason was given").split())[:500]


def _sum(outcomes: list[dict[str, Any]], name: str) -> float | None:
    """A figure over all attempts, None where no agent told it."""
    told = [each[name] for each in outcomes if each.get(name) is not None]
    return sum(told) if told else None
