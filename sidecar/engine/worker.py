"""One process at work on the durable queue: it claims, carries out, takes over from the dead."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sidecar.domain.errors import SidecarError
from sidecar.engine import run_table
from sidecar.engine.clock import Clock
from sidecar.engine.database import Database
from sidecar.engine.progress import Carrier, Delay
from sidecar.engine.run_json import instant, milliseconds
from sidecar.engine.run_table import Claim
from sidecar.engine.runner import Work

# How often the locks of peers that are at work are tried; nothing is tried while none is.
PEERS_SECONDS = 0.5
# A process at work shows at least this often that it can reach the database.
REACH_SECONDS = 2.0
UNREACHABLE_SECONDS = 0.25
BROKEN_SECONDS = 5.0
# Timers stand still while a machine sleeps, and clocks are set: look again after this at most.
LONGEST_SECONDS = 30.0
_ROUNDING_SECONDS = 0.002
_LOG = logging.getLogger(__name__)


@dataclass
class _Attempting:
    """A run under way in this process."""

    claim: Claim
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Worker:
    """The threads of one process that work on runs."""

    def __init__(
        self,
        database: Database,
        executor: str,
        clock: Clock,
        concurrent_runs: int,
        delay: Delay,
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._executor = executor
        self._clock = clock
        self._limit = concurrent_runs
        self._carrier = Carrier(database, executor, clock, delay)
        self._changed = changed
        self._works: dict[str | None, Work] = {}
        self._active: dict[str, _Attempting] = {}
        self._guard = threading.Lock()
        self._event = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._reached = time.monotonic()
        self._told = False
        self._visible = False

    def add(self, work: Work, workspace: str | None) -> None:
        """Work on a workspace's runs from now on; the first call makes the process visible."""
        with self._guard:
            self._appear()
            self._works[workspace] = work
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="run-queue-dispatcher", daemon=True
                )
                self._thread.start()
        self.wake()

    def appear(self) -> None:
        """Let other processes see that this one lives."""
        with self._guard:
            self._appear()

    def _appear(self) -> None:
        if not self._visible:
            self._database.appear(self._executor)
            self._visible = True

    def remove(self, workspace: str | None) -> None:
        """Start none of a workspace's runs any more, and put back those under way."""
        with self._guard:
            self._works.pop(workspace, None)
            ending = [
                each
                for each in self._active.values()
                if workspace is None or each.claim.workspace == workspace
            ]
        self._put_back(ending)

    def close(self) -> None:
        """Put everything back and end the threads."""
        self._closing = True
        self._carrier.closing.set()
        self.wake()
        if self._thread is not None:
            self._thread.join()
        with self._guard:
            ending = list(self._active.values())
        self._put_back(ending)

    def wake(self) -> None:
        """Something may have changed; look at once."""
        self._event.set()

    def _put_back(self, ending: list[_Attempting]) -> None:
        for each in ending:
            self._carrier.give_up(each.claim.run_id)
            each.stop.set()
        for each in ending:
            if each.thread is not None and each.thread is not threading.current_thread():
                each.thread.join()

    def _serve(self) -> None:
        pruned = False
        while not self._closing:
            self._event.clear()
            try:
                pruned = pruned or self._prune()
                seconds = self._look()
                self._reached = time.monotonic()
                self._told = False
            except SidecarError as error:
                if not self._told:
                    _LOG.warning("Runs wait: %s", error)
                self._told = True
                self._fence()
                seconds = UNREACHABLE_SECONDS
            except Exception:  # noqa: BLE001 - the outer edge of the queue
                _LOG.exception("Runs wait, because the dispatcher broke.")
                seconds = BROKEN_SECONDS
            self._event.wait(seconds)

    def _prune(self) -> bool:
        with self._database.transaction() as session:
            run_table.prune(session, milliseconds(self._clock.now()))
        return True

    def _fence(self) -> None:
        """Stop what others may soon take over, since they cannot see that this process lives."""
        lease = self._database.lease_seconds
        if lease is None or time.monotonic() - self._reached < lease:
            return
        with self._guard:
            ending = list(self._active.values())
        for each in ending:
            self._carrier.give_up(each.claim.run_id)
            each.stop.set()

    def _look(self) -> float:
        """Take over, stop, start; returns after how many seconds to look again at the latest."""
        foreign = self._take_over()
        self._stop_cancelled()
        while self._start_next():
            pass
        seconds = self._seconds_to_next()
        if foreign:
            seconds = min(seconds, PEERS_SECONDS)
        return min(seconds, REACH_SECONDS) if self._active else seconds

    def _take_over(self) -> bool:
        """Return the runs of processes that died; whether any other process is at work."""
        with self._database.transaction(serial=False) as session:
            holders = run_table.holders(session)
        if self._executor in holders:
            self._release_unknown()
        others = holders - {self._executor}
        dead = self._database.dead(others) if others else frozenset()
        for executor in dead:
            with self._database.transaction() as session:
                run_table.recover(session, executor)
        if dead:
            self._changed()
        return bool(others)

    def _release_unknown(self) -> None:
        """Return claims of this process whose answer was lost with the database's connection."""
        with self._database.transaction(serial=False) as session:
            held = run_table.held(session, self._executor)
        with self._guard:
            unknown = held - self._active.keys()
        for run_id in unknown:
            with self._database.transaction() as session:
                run_table.release(session, self._executor, run_id)

    def _stop_cancelled(self) -> None:
        if not self._active:
            return
        with self._database.transaction(serial=False) as session:
            wanted = run_table.cancellations(session, self._executor)
        with self._guard:
            for run_id in wanted & self._active.keys():
                self._active[run_id].stop.set()

    def _start_next(self) -> bool:
        with self._guard:
            full = self._closing or not self._works or len(self._active) >= self._limit
            served = self._served()
        if full:
            return False
        now = milliseconds(self._clock.now())
        # Idle processes must not take the write lock to learn that there is nothing to do.
        with self._database.transaction(serial=False) as session:
            if not run_table.has_claimable(session, served, now):
                return False
        with self._database.transaction() as session:
            claimed = run_table.claim(session, self._executor, served, now)
        if claimed is None:
            return False
        self._start(claimed)
        return True

    def _served(self) -> tuple[str, ...] | None:
        """The workspaces whose runs may be taken, None for all."""
        named = tuple(each for each in self._works if each is not None)
        return named if len(named) == len(self._works) else None

    def _start(self, claimed: Claim) -> None:
        with self._guard:
            work = self._works.get(claimed.workspace) or self._works.get(None)
            attempting = _Attempting(claimed)
            self._active[claimed.run_id] = attempting
        if work is None:
            self._carrier.give_up(claimed.run_id)
        attempting.thread = threading.Thread(
            target=self._carry, args=(attempting, work), name=f"run {claimed.run_id}", daemon=True
        )
        attempting.thread.start()

    def _carry(self, attempting: _Attempting, work: Work | None) -> None:
        try:
            self._carrier.carry(attempting.claim, work, attempting.stop)
        finally:
            with self._guard:
                self._active.pop(attempting.claim.run_id, None)
            self._changed()

    def _seconds_to_next(self) -> float:
        with self._guard:
            served = self._served()
            full = len(self._active) >= self._limit
        if full:
            return LONGEST_SECONDS
        with self._database.transaction(serial=False) as session:
            # What is due already waits for its workspace, and the end of a run wakes.
            found = run_table.next_instant(session, served, milliseconds(self._clock.now()))
        moment = instant(found)
        if moment is None:
            return LONGEST_SECONDS
        seconds = self._clock.real_seconds(moment - self._clock.now())
        return min(LONGEST_SECONDS, seconds + _ROUNDING_SECONDS)
