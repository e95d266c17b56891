"""A run: one slot of a schedule, or one task, worked on once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any


class Origin(StrEnum):
    """Who asked for a run."""

    SCHEDULE = "schedule"
    TASK = "task"
    PERSON = "person"


class RunState(StrEnum):
    """Where a run stands."""

    NEEDS_CONSENT = "needs-consent"
    QUEUED = "queued"
    WAITING = "waiting"
    RUNNING = "running"
    READY = "ready"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    ESCALATED = "escalated"


ENDED = frozenset({
    RunState.SUCCEEDED, RunState.FAILED, RunState.TIMED_OUT, RunState.CANCELLED,
    RunState.INTERRUPTED, RunState.SKIPPED, RunState.ESCALATED,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is to be run, complete in itself: it travels as JSON to the process that runs it.

    ``subject`` is the id of the schedule or of the task; ``slot`` is the due instant of a schedule
    in UTC, None for everything else. ``limit_seconds`` bounds one attempt.
    """

    run_id: str
    workspace: str
    origin: Origin
    subject: str
    label: str
    instructions: str
    mode: str | None = None
    slot: datetime | None = None
    runner: str = "handoff"
    limit_seconds: int = 7200
    priority: str = "schedule"
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it stands: durable, and the same for every process that asks.

    ``finishing`` is true of one that somebody outside has ended and a worker has still to finish.
    """

    request: RunRequest
    state: RunState
    attempts: int = 0
    holder: str = ""
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""
    result: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    finishing: bool = False

    @property
    def run_id(self) -> str:
        """The id that the run has everywhere."""
        return self.request.run_id


@dataclass(frozen=True, slots=True)
class Executing:
    """Who executes a workspace's schedules: the process that lives and decides about its slots.

    ``kind`` says what started it, `serve` or `channel`; ``process`` is its name as a run's holder.
    """

    process: str
    host: str
    kind: str
    since: datetime


def slot_run_id(workspace: str, schedule_id: str, slot: datetime) -> str:
    """The id of a slot's run: whoever asks for the same slot asks for the same run."""
    return f"{workspace}:{schedule_id}@{slot:%Y-%m-%dT%H:%M:%S}.{slot.microsecond // 1000:03d}Z"


def run_name(run_id: str) -> str:
    """The run's id as a name that files, git references and the memory's marks can bear.

    At most 64 of letters, digits and dashes; different ids have different names.
    """
    told = re.sub(r"[^A-Za-z0-9]+", "-", run_id).strip("-")[-42:].strip("-")
    return f"run-{told}-{sha256(run_id.encode()).hexdigest()[:12]}"
