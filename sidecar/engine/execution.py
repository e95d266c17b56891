"""A run from its first step to its last: what the engine's steps do to the workspace.

Each step may be repeated after a crash: whatever it did is found by the run's id.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.domain.run import ENDED, RunRequest, RunState, run_name
from sidecar.engine import checkpointing, restoring, run_memory, snapshot, time_row
from sidecar.engine.attempts import Attempts
from sidecar.engine.ending import Ending
from sidecar.engine.run_json import from_dict
from sidecar.engine.run_memory import RunMemory
from sidecar.engine.runner import Runner
from sidecar.engine.runners.process import end_tree, of_run
from sidecar.services import run_limits, schedule_bookkeeping, timing_log
from sidecar.services.context import Context

_log = logging.getLogger(__name__)
CHECKPOINT_TRIES = 3
# How attempts end of which the last step has something to note.
_JUDGED = ("succeeded", "failed", "timed-out")
# An agent that is stopped at its limit may write a little longer.
_ENDING_SECONDS = 60


@dataclass
class Execution:
    """The work on runs of one workspace; its methods are the engine's protocol ``Work``."""

    context: Context
    runner_for: Callable[[str], Runner]
    mcp: tuple[str, ...] = ()

    @cached_property
    def _attempts(self) -> Attempts:
        return Attempts(self.context, self.runner_for, self.mcp)

    def begin(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make the time row durable, take the checkpoint; raises SidecarError to abort the run."""
        run = from_dict(request)
        memory = RunMemory.of(self.context, run)
        started = datetime.fromisoformat(memory.once("started", self._now))
        try:
            self._before(run, memory, started)
        except SidecarError as error:
            _log.error("run %s is aborted: %s", memory.name, error)
            raise
        return {"task_id": memory.name, "started": started.isoformat()}

    def attempt(
        self, request: dict[str, Any], begun: dict[str, Any], number: int, stop: threading.Event
    ) -> dict[str, Any]:
        """Work once, from 1 on; returns an ``Outcome`` as a dictionary."""
        del begun  # the run's own notes tell the same
        return self._attempts.work(from_dict(request), number, stop)

    def finish(
        self, request: dict[str, Any], begun: dict[str, Any], outcomes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Close the row, note memory and bookkeeping, escalate or roll back.

        Without outcomes the run was interrupted. Returns the record's fields, none where the run
        was never begun.
        """
        run = from_dict(request)
        memory = RunMemory.of(self.context, run)
        known = memory.get("finished")
        if known is not None:
            return dict(known)
        started = begun.get("started") or (memory.get("started") or {}).get("value")
        if started is None:
            return {}
        ended = Ending(self.context, run, memory, outcomes, datetime.fromisoformat(started))
        return ended.finish()

    def recover(self, request: dict[str, Any]) -> None:
        """End what a killed predecessor left running, and put back what it had half done."""
        run = from_dict(request)
        memory = RunMemory.of(self.context, run)
        left = end_tree(memory.get("process") or of_run(run.run_id))
        if left:
            _log.error("%d processes of run %s could not be ended", left, memory.name)
        number = _interrupted(memory)
        if number:
            memory.once(f"recovered-{number}", lambda: self._put_back(run, memory, number))

    def _now(self) -> str:
        return self.context.clock().isoformat()

    def reconcile(self) -> None:
        """Make up for what processes that died have left undone: rows, bookkeeping, notes."""
        timing_log.complete_pending(self.context)
        for name in self.sweep():
            _log.warning("run %s had ended without its last step, which is made up for", name)
        schedule_bookkeeping.write_pending(self.context)

    def sweep(self) -> list[str]:
        """Finish the runs that ended without their last step; the names of those.

        Such are left where a process was killed between beginning a run and saying so, or where
        the last step broke. It is tried once more for each, then its row is closed, no more.
        """
        queue = self.context.queue
        closed: list[str] = []
        if queue is None:
            return closed
        for run_id, notes in run_memory.begun(self.context).items():
            if notes.get("ended_at") or "started" not in notes:
                continue
            record = queue.get(run_id)
            if record is not None and record.state in ENDED and not record.finishing:
                self._make_up(record.request, record.state)
                closed.append(run_name(run_id))
        return closed

    def _make_up(self, run: RunRequest, state: RunState) -> None:
        memory = RunMemory.of(self.context, run)
        outcomes = _outcomes(memory)
        if outcomes and outcomes[-1]["status"] in _JUDGED and not memory.get("swept"):
            memory.put(swept=True)
            started = datetime.fromisoformat(memory.get("started")["value"])
            try:
                Ending(self.context, run, memory, outcomes, started).finish()
            except SidecarError as error:
                _log.error("the last step of run %s breaks again: %s", memory.name, error)
            else:
                return
        self._abandon(run, state)

    def _abandon(self, run: RunRequest, state: RunState) -> None:
        memory = RunMemory.of(self.context, run)
        started = datetime.fromisoformat(memory.once("started", self._now))
        Ending(self.context, run, memory, [], started).abandon(state)

    def _before(self, run: RunRequest, memory: RunMemory, started: datetime) -> None:
        self.reconcile()
        limit = run_limits.attempt_limit(self.context, run)
        time_row.begin(self.context, run, memory.name, started, limit)
        if self.context.settings.rollback == "off" or memory.get("checkpoint"):
            return
        try:
            memory.put(checkpoint=self._checkpoint(memory.name))
        except SidecarError:
            # The run will not be begun, so nobody else would close its row.
            self._abandon(run, RunState.FAILED)
            raise

    def _checkpoint(self, name: str) -> dict[str, Any]:
        """The checkpoint of a workspace in which others may be writing."""
        for _ in range(CHECKPOINT_TRIES - 1):
            try:
                return checkpointing.take(self.context, name, *self._attempts.look())
            except SidecarError as error:
                _log.warning("the checkpoint %s is taken again: %s", name, error)
        return checkpointing.take(self.context, name, *self._attempts.look())

    def _put_back(self, run: RunRequest, memory: RunMemory, number: int) -> list[dict[str, Any]]:
        """Undo what an attempt did before its process was killed, as far as that is kept."""
        checkpoint = checkpointing.find(self.context, memory.name)
        before = checkpointing.load_saved(self.context, memory.name, f"before-{number}")
        if checkpoint is None or before is None:
            return []
        now = self._attempts.look()[0]
        began = checkpointing.saved_at(self.context, memory.name, f"before-{number}")
        latest = began + timedelta(seconds=run.limit_seconds + _ENDING_SECONDS)
        others = restoring.others(self.context, run.run_id, began, self.context.clock())
        others |= restoring.later(now, latest)
        changes = [astuple(each) for each in snapshot.compare(before, now)]
        files = restoring.touched(self.context, [{"changes": changes, "others": others}])
        return restoring.restore(self.context, checkpoint, files)


def _outcomes(memory: RunMemory) -> list[dict[str, Any]]:
    """What the attempts came to that are on record."""
    found: list[dict[str, Any]] = []
    while (outcome := memory.get(f"outcome-{len(found) + 1}")) is not None:
        found.append(outcome)
    return found


def _interrupted(memory: RunMemory) -> int:
    """The number of the attempt that was begun and has no outcome, 0 where there is none."""
    number = 1
    while memory.get(f"started-{number}"):
        if memory.get(f"outcome-{number}") is None:
            return number
        number += 1
    return 0
