"""Carrying one claimed run from step to step, each kept before the next is taken."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import ENDED, RunState
from sidecar.engine import run_table
from sidecar.engine.clock import Clock
from sidecar.engine.database import Database, Session
from sidecar.engine.run_json import milliseconds
from sidecar.engine.run_table import Claim
from sidecar.engine.runner import Work

ATTEMPTS = 3
_AGAIN_SECONDS = 0.25
_FINISH_TRIES = 3
STATES = {
    "succeeded": RunState.SUCCEEDED,
    "cancelled": RunState.CANCELLED,
    "timed-out": RunState.TIMED_OUT,
}
_DIED = "The process that worked on it died {} times, so it is given up."
_LOG = logging.getLogger(__name__)

Delay = Callable[[int], timedelta]


class _LostError(Exception):
    """The run is another's now, or is to be put back."""


class Carrier:
    """Works on claimed runs; any number of threads may use it at once."""

    def __init__(self, database: Database, executor: str, clock: Clock, delay: Delay) -> None:
        self._database = database
        self._executor = executor
        self._clock = clock
        self._delay = delay
        self._given_up: set[str] = set()
        self.closing = threading.Event()

    def give_up(self, run_id: str) -> None:
        """Let a run under way be put back as soon as its step returns."""
        self._given_up.add(run_id)

    def carry(self, claim: Claim, work: Work | None, stop: threading.Event) -> None:
        """Work on a run until it has ended, sleeps, is handed off, or is put back."""
        try:
            if work is not None:
                self._steps(claim, work, stop)
        except _LostError:
            _LOG.info("Run %s is not this process's any more.", claim.run_id)
        except Exception as error:  # noqa: BLE001 - the outer edge of a run
            _LOG.exception("The engine broke at run %s.", claim.run_id)
            with suppress(_LostError):
                self._end(claim, RunState.FAILED, f"The engine broke: {type(error).__name__}.")
        finally:
            self._put_back_given_up(claim, always=work is None)

    def _put_back_given_up(self, claim: Claim, *, always: bool) -> None:
        if not always and claim.run_id not in self._given_up:
            return
        self._given_up.discard(claim.run_id)
        # Who closes without a database lets the others find out that it is gone.
        with suppress(_LostError):
            self._persist(lambda session: run_table.put_back(session, claim, self._executor))

    def _steps(self, claim: Claim, work: Work, stop: threading.Event) -> None:
        if claim.recovering:
            _guarded(lambda: _recovered(work, claim), "What takes over a run broke")
        if claim.stage == "settled":
            self._finish(claim, work, settled=True)
            return
        begun = self._begun(claim, work)
        if begun is None:
            return
        claim = replace(claim, begun=begun)
        while (next_step := self._next(claim)) == "attempt":
            outcome = self._attempted(claim, work, stop)
            claim = replace(claim, outcomes=[*claim.outcomes, outcome])
            self._keep(claim, outcomes=json.dumps(claim.outcomes), attempts=len(claim.outcomes))
            if outcome["status"] == "handed-off":
                self._keep(claim, state=RunState.READY.value, stage="begun", occupies=0, holder="")
                return
            if self._retried(claim):
                self._sleep(claim)
                return
        if next_step != "finish":
            reason = self._cancelled(claim) or "cancelled"
            outcome = {"status": "cancelled", "reason": reason}
            if next_step == "give up":
                outcome = {"status": "failed", "reason": _DIED.format(claim.recoveries)}
            claim = replace(claim, outcomes=[*claim.outcomes, outcome])
            self._keep(claim, outcomes=json.dumps(claim.outcomes))
        self._finish(claim, work, settled=False)

    def _begun(self, claim: Claim, work: Work) -> dict[str, Any] | None:
        if claim.begun is not None:
            return claim.begun
        if (reason := self._cancelled(claim)) is not None:
            if claim.recovering:
                # Whoever died may have begun it: what there is of it is to be closed.
                outcome = {"status": "cancelled", "reason": reason}
                self._finish(replace(claim, outcomes=[outcome]), work, settled=False)
            else:
                self._end(claim, RunState.CANCELLED, reason)
            return None
        begun, broken = _guarded(lambda: work.begin(claim.request), "What begins a run broke")
        if broken:
            self._end(claim, RunState.FAILED, broken)
            return None
        self._keep(claim, begun=json.dumps(begun), stage="begun", attempts=1)
        return begun

    def _next(self, claim: Claim) -> str:
        """What comes after the outcomes so far."""
        if self._cancelled(claim) is not None:
            ended = claim.outcomes and claim.outcomes[-1].get("status") in _CONCLUDING
            return "finish" if ended else "cancel"
        if claim.recoveries > run_table.MAX_RECOVERIES:
            return "give up"
        tried = [each for each in claim.outcomes if each.get("status") != "handed-off"]
        if not tried:
            return "attempt"
        return "attempt" if self._retried(claim) else "finish"

    def _retried(self, claim: Claim) -> bool:
        """Whether the last outcome leaves a further attempt."""
        last = claim.outcomes[-1]
        again = (last.get("facts") or {}).get("retry", True)
        failed = last.get("status") in ("failed", "timed-out")
        return bool(failed and again and len(claim.outcomes) < ATTEMPTS)

    def _attempted(self, claim: Claim, work: Work, stop: threading.Event) -> dict[str, Any]:
        number = len(claim.outcomes) + 1
        if number > 1:
            self._keep(claim, attempts=number)
        outcome, broken = _guarded(
            lambda: work.attempt(claim.request, claim.begun or {}, number, stop),
            "The attempt broke",
        )
        if broken:
            outcome = {"status": "failed", "reason": broken}
        if claim.run_id in self._given_up:
            raise _LostError
        return outcome

    def _sleep(self, claim: Claim) -> None:
        """Let the run be claimed again after a while; its workspace stays with it."""
        until = self._clock.now() + self._delay(len(claim.outcomes))
        self._keep(
            claim, state=RunState.WAITING.value, claimable=1, not_before=milliseconds(until),
            holder="", reason=str(claim.outcomes[-1].get("reason", "")),
        )  # fmt: skip

    def _finish(self, claim: Claim, work: Work, *, settled: bool) -> None:
        finished = self._finished(claim, work)
        last = claim.outcomes[-1] if claim.outcomes else {}
        facts = json.dumps(finished.get("facts") or {})
        if settled:
            self._keep(claim, stage="done", occupies=0, holder="", facts=facts)
            return
        named = finished.get("state")
        status = str(last.get("status"))
        state = RunState(str(named)) if named else STATES.get(status, RunState.FAILED)
        reason = str(finished.get("reason") or last.get("reason", ""))
        result = str(finished.get("result") or last.get("text", ""))
        self._end(claim, state if state in ENDED else RunState.FAILED, reason, result, facts)

    def _finished(self, claim: Claim, work: Work) -> dict[str, Any]:
        """What the last step says; it is taken up to three times, because it may be repeated."""
        broken = ""
        for tried in range(_FINISH_TRIES):
            time.sleep(_AGAIN_SECONDS * tried)
            finished, broken = _guarded(
                lambda: work.finish(claim.request, claim.begun or {}, claim.outcomes),
                "What finishes a run broke",
            )
            if not broken:
                return finished
        return {"state": RunState.FAILED.value, "reason": broken}

    def _end(
        self, claim: Claim, state: RunState, reason: str, result: str = "", facts: str = "{}"
    ) -> None:
        self._keep(
            claim, state=state.value, stage="done", occupies=0, holder="", reason=reason,
            result=result, facts=facts, ended=milliseconds(self._clock.now()),
        )  # fmt: skip

    def _cancelled(self, claim: Claim) -> str | None:
        found: str | None = self._persist(
            lambda session: run_table.cancelled(session, claim.run_id), serial=False
        )
        return found

    def _keep(self, claim: Claim, **columns: object) -> None:
        """Write what is achieved; raises where the run is another's now."""
        if not self._persist(lambda session: run_table.keep(session, claim, **columns)):
            raise _LostError

    def _persist(self, change: Callable[[Session], Any], *, serial: bool = True) -> Any:
        """Try until the database is there: what an agent did must not be forgotten."""
        while True:
            try:
                with self._database.transaction(serial=serial) as session:
                    return change(session)
            except SidecarError as error:
                if error.code is not ErrorCode.UNAVAILABLE:
                    raise
                if self.closing.is_set():
                    raise _LostError from error
            time.sleep(_AGAIN_SECONDS)


def _recovered(work: Work, claim: Claim) -> dict[str, Any]:
    work.recover(claim.request)
    return {}


def _guarded(step: Callable[[], dict[str, Any]], what: str) -> tuple[dict[str, Any], str]:
    """What a step of the work returns, or the sentence about how it broke."""
    try:
        return step(), ""
    except SidecarError as error:
        return {}, str(error)
    except Exception as error:  # noqa: BLE001 - the outer edge of a run
        _LOG.exception(what)
        return {}, f"{what}: {type(error).__name__}."


_CONCLUDING = frozenset({"succeeded", "cancelled"})
