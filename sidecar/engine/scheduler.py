"""The scheduler of one workspace: puts each due slot into the queue, once, and sleeps between.

What it has decided is in the queue itself: the newest slot of a schedule that is there, run or
skipped, is the one from which it goes on, in whatever process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sidecar.domain.calendar import Calendar, next_slot
from sidecar.domain.errors import SidecarError
from sidecar.domain.run import ENDED, RunRecord, RunRequest, RunState, slot_run_id
from sidecar.engine.clock import Clock
from sidecar.engine.due import Situation, decide, due, foreign_advance, idle_from
from sidecar.engine.schedule_source import Entry, Source, runnable, state_of
from sidecar.services.ports import RunQueue

MISSED = "Missed: no sidecar that executes was at work at the time."
# Timers stand still while a machine sleeps, and clocks are set: look again after this at most.
LONGEST_SECONDS = 30.0
_AGAIN = timedelta(seconds=5)
_RECENT = 20
_SET_BACK = timedelta(minutes=1)
_OPEN = frozenset(RunState) - ENDED
_LOG = logging.getLogger(__name__)


@dataclass
class _Plan:
    """A schedule with what was decided last; ``next`` is its first slot that is not."""

    entry: Entry
    calendar: Calendar
    seen: datetime
    next: datetime | None
    ran_here: bool


class Scheduler:
    """Decides about the due slots of one workspace; ``look`` is one pass, ``start`` a thread."""

    def __init__(self, source: Source, queue: RunQueue, clock: Clock | None = None) -> None:
        self._source = source
        self._queue = queue
        self._clock = clock or Clock()
        self._plans: dict[str, _Plan] = {}
        self._noted: dict[str, datetime | None] = {}
        self._version: object = self
        self._refused: object = self
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._event = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """The file or a run may have changed; look at once."""
        self._event.set()

    def start(self) -> None:
        """Look from a thread, at each due instant and whenever woken."""
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a pass that is under way is completed."""
        self._stopping = True
        self._event.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        hindrance = ""
        while not self._stopping:
            self._event.clear()
            try:
                following = self.look(self._clock.now())
                seconds, hindrance = self._seconds_until(following), ""
            except SidecarError as error:
                if str(error) != hindrance:
                    _LOG.warning("Schedules wait: %s", error)
                hindrance = str(error)
                seconds = _AGAIN.total_seconds()
            except Exception:  # noqa: BLE001 - the outer edge of a pass
                _LOG.exception("Schedules wait, because the scheduler broke.")
                seconds = _AGAIN.total_seconds()
            self._event.wait(seconds)

    def _seconds_until(self, following: datetime | None) -> float:
        if following is None:
            return LONGEST_SECONDS
        seconds = self._clock.real_seconds(following - self._clock.now())
        return min(LONGEST_SECONDS, seconds + 0.001)

    def look(self, now: datetime) -> datetime | None:
        """One pass at an instant; returns when the next slot is due, None for never."""
        self._load(now)
        waiting = self._release(now)
        found = [plan for plan in self._plans.values() if plan.next and plan.next <= now]
        stuck = [plan for plan in found if not self._decided(plan, now)]
        if found:
            waiting = self._release(now)
        moments = [p.next for p in self._plans.values() if p.next is not None and p not in stuck]
        again = [now + _AGAIN] if stuck else []
        return min([*moments, *waiting, *again], default=None)

    def _decided(self, plan: _Plan, now: datetime) -> bool:
        """Whether a schedule's due slots are decided; what stops one must not stop the others."""
        try:
            self._decide_due(plan, now)
        except SidecarError as error:
            _LOG.warning("`%s` waits: %s", plan.entry.label, error)
            return False
        return True

    def _load(self, now: datetime) -> None:
        """Read the schedules again where they changed; an unchanged one keeps its plan."""
        version = self._source.version()
        if now + _SET_BACK < self._latest:
            # Slots that lie ahead again are asked for again, and found where they were run.
            self._plans, self._version, self._latest = {}, self, now
        self._latest = max(now, self._latest)
        if version == self._version:
            return
        try:
            entries = self._source.load(now)
        except SidecarError as error:
            # Somebody is in the middle of an edit: what was read last goes on.
            if version != self._refused:
                _LOG.warning("The schedules stay as they were read last: %s", error)
            self._refused = version
            return
        self._find_foreign(entries)
        before, self._plans = self._plans, {}
        for entry, calendar in runnable(entries):
            known = before.get(entry.id)
            if known is not None and _same(known.entry, entry):
                self._plans[entry.id] = replace(known, entry=entry)
            else:
                self._plans[entry.id] = self._plan(entry, calendar, now)
        self._version = version

    def _plan(self, entry: Entry, calendar: Calendar, now: datetime) -> _Plan:
        slots = [run for run in self._recent(entry) if run.request.slot is not None]
        newest = max(slots, key=_slot, default=None)
        if newest is None:
            following = next_slot(calendar, entry.since)
            return _Plan(entry, calendar, entry.since, following, ran_here=False)
        # A clock that once was far ahead must not silence the schedule until then.
        counted, seen = newest.request.extra, min(_slot(newest), now)
        if "anchor" in counted and counted.get("timing") == entry.timing:
            anchor = datetime.fromisoformat(counted["anchor"])
            if anchor != calendar.anchor:
                self._source.keep_phase(entry, anchor)
            calendar = replace(calendar, anchor=anchor)
        return _Plan(entry, calendar, seen, next_slot(calendar, seen), ran_here=True)

    def _recent(self, entry: Entry) -> Sequence[RunRecord]:
        return self._queue.runs(workspace=self._source.workspace, subject=entry.id, limit=_RECENT)

    def _find_foreign(self, entries: Sequence[Entry]) -> None:
        """Hold back what another scheduler runs: its mark moves though no run of ours moved it."""
        for entry in entries:
            first = entry.id not in self._noted
            before = self._noted.get(entry.id)
            self._noted[entry.id] = entry.noted
            if first or entry.noted == before or entry.noted == self._source.ours(entry.id):
                continue
            if foreign_advance(before, entry.noted, self._recent(entry)):
                self._source.hold_back(entry)

    def _decide_due(self, plan: _Plan, now: datetime) -> None:
        if plan.entry.id in self._source.held_back():
            plan.next = next_slot(plan.calendar, now)
            return
        found = due(plan.calendar, plan.seen, now, self._source.catch_up)
        # What lies before the first run here was missed by nobody.
        missed = found.missed if plan.ran_here else ()
        for slot in missed:
            self._put(plan, slot, RunState.SKIPPED, MISSED)
        if missed:
            self._source.skipped(plan.entry, missed[-1])
        for slot in found.run:
            self._decide(plan, slot, now)
        if not plan.ran_here and found.run:
            self._source.keep_phase(plan.entry, plan.calendar.anchor)
        passed = [*found.missed, *found.run]
        plan.ran_here = plan.ran_here or bool(found.run)
        plan.seen = max(passed, default=plan.seen)
        plan.next = found.next

    def _decide(self, plan: _Plan, slot: datetime, now: datetime) -> None:
        source, entry = self._source, plan.entry
        if self._queue.get(slot_run_id(source.workspace, entry.id, slot)) is not None:
            return  # another process was first, or the clock was set back
        situation = Situation(
            now,
            self._open(),
            source.agent(),
            self._last_run(entry),
            self._unchanged,
        )
        decision = decide(entry.id, entry.manners, situation, all_slots=source.catch_up == "all")
        record = self._put(plan, slot, decision.state, decision.reason)
        if record.state is RunState.SKIPPED:
            source.skipped(entry, slot)
        for run in decision.interrupt:
            if run.run_id != record.run_id:
                self._queue.cancel(run.run_id, f"Interrupted, because `{entry.label}` was due.")

    def _put(self, plan: _Plan, slot: datetime, state: RunState, reason: str) -> RunRecord:
        request, refusal = self._source.request(plan.entry, slot)
        if state is RunState.SKIPPED:
            refusal = None
        reason = reason if refusal is None else f"Needs consent, because {refusal}."
        request = _counted(request, plan)
        return self._queue.enqueue(request, state=state_of(refusal, state), reason=reason)

    def _unchanged(self, since: datetime) -> str | None:
        """Why nothing happened since an instant; a run of somebody else is something.

        Not one that itself asked for activity: two such would keep each other going for ever.
        """
        for run in self._queue.runs(workspace=self._source.workspace, limit=_RECENT):
            plan = self._plans.get(run.request.subject)
            counts = plan is None or not plan.entry.manners.require_activity
            if run.started is not None and run.started > since and counts:
                return None
        return self._source.unchanged(since)

    def _open(self) -> Sequence[RunRecord]:
        return self._queue.runs(workspace=self._source.workspace, states=_OPEN)

    def _last_run(self, entry: Entry) -> RunRecord | None:
        """The newest run that was worked on."""
        return next((run for run in self._recent(entry) if run.started is not None), None)

    def _release(self, now: datetime) -> list[datetime]:
        """Let those run that waited for an idle agent or for consent; when to look again."""
        states = {RunState.WAITING, RunState.NEEDS_CONSENT}
        waiting = self._queue.runs(workspace=self._source.workspace, states=states)
        looks = [self._released(run, now) for run in waiting if run.attempts == 0]
        return [moment for moment in looks if moment is not None]

    def _released(self, run: RunRecord, now: datetime) -> datetime | None:
        plan = self._plans.get(run.request.subject)
        if run.request.slot is None:
            return None
        if plan is None:
            reason = "Skipped, because its schedule is gone or switched off."
            self._queue.settle(run.run_id, RunState.SKIPPED, reason=reason)
            return None
        if run.state is RunState.NEEDS_CONSENT:
            if self._source.consented(run.request.subject):
                self._queue.settle(run.run_id, RunState.QUEUED)
            return None
        moment = idle_from(plan.entry.manners, self._source.agent())
        if moment > now:
            return moment
        self._queue.settle(run.run_id, RunState.QUEUED)
        return None


def _same(one: Entry, other: Entry) -> bool:
    """Whether two readings of a schedule have the same slots."""
    if not isinstance(one.calendar, Calendar) or not isinstance(other.calendar, Calendar):
        return False
    fixed = replace(other.calendar, anchor=one.calendar.anchor, origin=one.calendar.origin)
    return one.timing == other.timing and one.calendar == fixed


def _slot(run: RunRecord) -> datetime:
    slot = run.request.slot
    if slot is None:
        message = f"{run.run_id} has no slot"
        raise ValueError(message)
    return slot


def _counted(request: RunRequest, plan: _Plan) -> RunRequest:
    """The request with what its slot was counted from, for whoever counts on."""
    counted = {"anchor": plan.calendar.anchor.isoformat(), "timing": plan.entry.timing}
    return replace(request, extra=request.extra | counted)
