"""The queue of runs in memory, worked on in the caller's thread: for simulated time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.domain.run import ENDED, Executing, RunRecord, RunRequest, RunState
from sidecar.engine.progress import ATTEMPTS, STATES
from sidecar.engine.run_json import to_dict
from sidecar.engine.run_table import OUTSIDE, RANKS
from sidecar.engine.runner import Work


@dataclass
class MemoryQueue:
    """``services.ports.RunQueue`` for one process; ``run_queued`` works on what there is."""

    clock: Callable[[], datetime]
    _runs: dict[str, RunRecord] = field(default_factory=dict, repr=False)
    _of_subject: dict[tuple[str, str], list[str]] = field(default_factory=dict, repr=False)
    _queued: dict[str, deque[str]] = field(default_factory=dict, repr=False)
    _open: dict[str, None] = field(default_factory=dict, repr=False)

    def enqueue(
        self, request: RunRequest, *, state: RunState = RunState.QUEUED, reason: str = ""
    ) -> RunRecord:
        """Put a run into the queue; the same ``run_id`` gives the run that is there already."""
        known = self._runs.get(request.run_id)
        if known is not None:
            return known
        now = self.clock()
        ended = now if state in ENDED else None
        made = RunRecord(request, state, created=now, ended=ended, reason=reason)
        key = (request.workspace, request.subject)
        self._of_subject.setdefault(key, []).append(request.run_id)
        self._put(made)
        return made

    def _put(self, run: RunRecord) -> RunRecord:
        self._runs[run.run_id] = run
        if run.state in ENDED:
            self._open.pop(run.run_id, None)
        else:
            self._open[run.run_id] = None
        if run.state is RunState.QUEUED:
            self._queued.setdefault(run.request.priority, deque()).append(run.run_id)
        return run

    def get(self, run_id: str) -> RunRecord | None:
        """One run as it stands, None for an unknown id."""
        return self._runs.get(run_id)

    def runs(
        self,
        *,
        workspace: str,
        subject: str | None = None,
        states: Collection[RunState] = (),
        limit: int = 100,
    ) -> list[RunRecord]:
        """The runs of a workspace, the newest first; no ``states`` means all."""
        found: list[RunRecord] = []
        for run_id in self._candidates(workspace, subject, states):
            run = self._runs[run_id]
            if run.request.workspace == workspace and (not states or run.state in states):
                found.append(run)
                if len(found) == limit:
                    break
        return found

    def _candidates(
        self, workspace: str, subject: str | None, states: Collection[RunState]
    ) -> Iterator[str]:
        if subject is not None:
            return reversed(self._of_subject.get((workspace, subject), []))
        if states and not set(states) & ENDED:
            return iter([*reversed(self._open)])
        return reversed(self._runs)

    def cancel(self, run_id: str, reason: str) -> bool:
        """End a run; False where it has ended already or is unknown."""
        return self._end(run_id, frozenset(RunState) - ENDED, RunState.CANCELLED, reason, "")

    def settle(self, run_id: str, state: RunState, *, reason: str = "", result: str = "") -> bool:
        """Move a run that waits for somebody outside; False where it does not."""
        return self._end(run_id, OUTSIDE, state, reason, result)

    def executor(self, workspace: str) -> Executing | None:
        """Nobody: whoever has this queue looks by itself."""
        del workspace
        return None

    def _end(
        self,
        run_id: str,
        movable: Collection[RunState],
        state: RunState,
        reason: str,
        result: str,
    ) -> bool:
        run = self._runs.get(run_id)
        if run is None or run.state not in movable:
            return False
        ended = self.clock() if state in ENDED else None
        self._put(replace(run, state=state, reason=reason, result=result, ended=ended))
        return True

    def run_queued(self, work: Work) -> int:
        """Work on everything that is queued, by priority; how many runs that were."""
        count = 0
        while (run := self._next()) is not None:
            self._carry(run, work)
            count += 1
        return count

    def _next(self) -> RunRecord | None:
        for priority in sorted(self._queued, key=lambda each: RANKS.get(each, 2)):
            queued = self._queued[priority]
            while queued:
                run = self._runs[queued.popleft()]
                if run.state is RunState.QUEUED:
                    return run
        return None

    def _carry(self, run: RunRecord, work: Work) -> None:
        run = self._put(replace(run, state=RunState.RUNNING, started=self.clock()))
        request = to_dict(run.request)
        try:
            begun = work.begin(request)
        except SidecarError as error:
            self._put(replace(run, state=RunState.FAILED, reason=str(error), ended=self.clock()))
            return
        outcomes: list[dict[str, Any]] = []
        while _again(outcomes):
            number = len(outcomes) + 1
            outcomes.append(work.attempt(request, begun, number, threading.Event()))
        run = replace(run, attempts=len(outcomes))
        if outcomes[-1]["status"] == "handed-off":
            self._put(replace(run, state=RunState.READY))
            return
        finished = work.finish(request, begun, outcomes)
        named = finished.get("state")
        state = RunState(named) if named else STATES.get(outcomes[-1]["status"], RunState.FAILED)
        reason, result = finished.get("reason", ""), finished.get("result", "")
        facts, now = finished.get("facts", {}), self.clock()
        self._put(replace(run, state=state, reason=reason, result=result, facts=facts, ended=now))


def _again(outcomes: list[dict[str, Any]]) -> bool:
    if not outcomes:
        return True
    failed = outcomes[-1]["status"] in ("failed", "timed-out")
    return failed and len(outcomes) < ATTEMPTS
