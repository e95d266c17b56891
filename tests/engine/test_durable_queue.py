"""The durable queue, on SQLite and on PostgreSQL: states, retries, cancelling, taking over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import Origin, RunRecord, RunRequest, RunState
from sidecar.engine import run_table
from sidecar.engine.clock import Clock
from sidecar.engine.durable_queue import DurableQueue
from tests.engine.databases import open_database

Attempt = Callable[[dict[str, Any], int, threading.Event], dict[str, Any]]


def succeed(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
    return {"status": "succeeded", "reason": "done", "text": f"attempt {number}"}


class Recorded:
    """Work that notes what it is asked for, in order."""

    def __init__(self, attempt: Attempt = succeed, *, refuse: str = "") -> None:
        self.calls: list[tuple[str, str]] = []
        self.refuse = refuse
        self._attempt = attempt

    def begin(self, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(("begin", request["run_id"]))
        if self.refuse:
            raise SidecarError(ErrorCode.BUSY, self.refuse)
        return {"row": 7}

    def attempt(
        self, request: dict[str, Any], begun: dict[str, Any], number: int, stop: threading.Event
    ) -> dict[str, Any]:
        assert begun == {"row": 7}
        self.calls.append((f"attempt {number}", request["run_id"]))
        return self._attempt(request, number, stop)

    def finish(
        self, request: dict[str, Any], begun: dict[str, Any], outcomes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        self.calls.append(("finish", request["run_id"]))
        assert begun == {"row": 7}
        return {"facts": {"statuses": [each["status"] for each in outcomes]}}

    def recover(self, request: dict[str, Any]) -> None:
        self.calls.append(("recover", request["run_id"]))

    def steps(self, run_id: str) -> list[str]:
        return [step for step, of in self.calls if of == run_id]


def asked(run_id: str, workspace: str = "w", subject: str = "s", **more: Any) -> RunRequest:
    return RunRequest(run_id, workspace, Origin.SCHEDULE, subject, "A run", "Do it.", **more)


@pytest.fixture
def opened(engine_url: str, tmp_path: Path) -> Iterator[Callable[..., DurableQueue]]:
    """Opens the same queue as another process would."""
    queues: list[DurableQueue] = []

    def open_(**options: Any) -> DurableQueue:
        options = {"delay": lambda failures: timedelta(milliseconds=20 * failures)} | options
        queues.append(DurableQueue(open_database(tmp_path / "state", engine_url), **options))
        return queues[-1]

    yield open_
    for queue in queues:
        queue.close()


def settled(queue: DurableQueue, run_id: str, *states: RunState) -> RunRecord:
    """The run once it is in one of the states."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = queue.get(run_id)
        if found is not None and found.state in states:
            return found
        time.sleep(0.01)
    pytest.fail(f"{run_id} is {found and found.state}, not {states}")


@contextmanager
def held() -> Iterator[tuple[Attempt, threading.Event, threading.Event]]:
    """An attempt that is at work until let go; also the events of its start and its end."""
    started, let_go = threading.Event(), threading.Event()

    def attempt(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        started.set()
        while not let_go.wait(0.01):
            if stop.is_set():
                return {"status": "cancelled", "reason": "stopped"}
        return succeed(request, number, stop)

    yield attempt, started, let_go
    let_go.set()


def test_a_run_goes_from_begin_to_finish_and_tells_what_it_did(opened: Any) -> None:
    queue, work = opened(), Recorded()
    slot = datetime(2025, 5, 1, 10, 0, 0, 123000, tzinfo=UTC)
    first = queue.enqueue(asked("r", slot=slot, extra={"a": [1]}))
    assert (first.state, first.request) == (
        RunState.QUEUED,
        asked("r", slot=slot, extra={"a": [1]}),
    )

    queue.work(work)
    record = settled(queue, "r", RunState.SUCCEEDED)

    assert work.steps("r") == ["begin", "attempt 1", "finish"]
    assert (record.reason, record.result, record.attempts) == ("done", "attempt 1", 1)
    assert record.facts == {"statuses": ["succeeded"]}
    assert record.request.slot == slot
    assert record.created <= record.started <= record.ended


def test_the_same_id_is_the_same_run_whoever_asks(opened: Any) -> None:
    one, other, work = opened(), opened(), Recorded()
    one.work(work)

    records = [queue.enqueue(asked("r")) for queue in (one, other, one, other)]
    settled(other, "r", RunState.SUCCEEDED)
    again = other.enqueue(asked("r"))

    assert {each.run_id for each in records} == {"r"}
    assert again.state is RunState.SUCCEEDED
    assert work.steps("r") == ["begin", "attempt 1", "finish"]


def test_a_failed_attempt_is_made_twice_more(opened: Any) -> None:
    def fail(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        return {"status": "failed", "reason": f"no {number}"}

    queue, work = opened(), Recorded(fail)
    queue.work(work)
    queue.enqueue(asked("r"))

    record = settled(queue, "r", RunState.FAILED)

    assert work.steps("r") == ["begin", "attempt 1", "attempt 2", "attempt 3", "finish"]
    assert (record.attempts, record.reason) == (3, "no 3")


def test_an_attempt_that_says_so_is_not_repeated(opened: Any) -> None:
    def fail(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        return {"status": "failed", "reason": "never", "facts": {"retry": False}}

    queue, work = opened(), Recorded(fail)
    queue.work(work)
    queue.enqueue(asked("r"))
    settled(queue, "r", RunState.FAILED)

    assert work.steps("r") == ["begin", "attempt 1", "finish"]


def test_a_success_after_a_failure_is_a_success(opened: Any) -> None:
    def second(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        return {"status": "failed" if number == 1 else "succeeded", "reason": str(number)}

    queue, work = opened(), Recorded(second)
    queue.work(work)
    queue.enqueue(asked("r"))

    record = settled(queue, "r", RunState.SUCCEEDED)

    assert record.facts == {"statuses": ["failed", "succeeded"]}


def test_code_that_breaks_fails_the_run_and_not_the_worker(opened: Any) -> None:
    def broken(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        if request["run_id"] == "r":
            raise ZeroDivisionError
        return succeed(request, number, stop)

    queue = opened()
    queue.work(Recorded(broken))
    queue.enqueue(asked("r"))
    queue.enqueue(asked("later"))

    assert "ZeroDivisionError" in settled(queue, "r", RunState.FAILED).reason
    settled(queue, "later", RunState.SUCCEEDED)


def test_an_outcome_that_is_no_json_fails_the_run_and_frees_its_workspace(opened: Any) -> None:
    def odd(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        if request["run_id"] == "r":
            return {"status": "succeeded", "reason": "done", "facts": {"set": {1}}}
        return succeed(request, number, stop)

    queue = opened()
    queue.work(Recorded(odd))
    queue.enqueue(asked("r"))
    queue.enqueue(asked("later"))

    assert settled(queue, "r", RunState.FAILED).reason == "The engine broke: TypeError."
    settled(queue, "later", RunState.SUCCEEDED)


def test_old_runs_are_forgotten_but_never_the_newest_of_a_schedule(opened: Any) -> None:
    then = Clock(origin=datetime.now(UTC))
    queue = opened(clock=then)
    for number in range(3):
        queue.enqueue(asked(f"r{number}"), state=RunState.SKIPPED, reason="old")
    queue.enqueue(asked("waits", subject="t"), state=RunState.NEEDS_CONSENT)

    later = opened(clock=Later(timedelta(days=91)))
    later.work(Recorded(), workspace="none")
    end = time.monotonic() + 20
    while len(queue.runs(workspace="w")) > 2 and time.monotonic() < end:
        time.sleep(0.02)

    assert [run.run_id for run in queue.runs(workspace="w")] == ["waits", "r2"]


class Later(Clock):
    """A clock that is ahead."""

    def __init__(self, ahead: timedelta) -> None:
        super().__init__()
        object.__setattr__(self, "ahead", ahead)

    def now(self) -> datetime:
        return super().now() + self.ahead  # type: ignore[attr-defined]


def test_a_run_that_may_not_begin_is_aborted_with_the_reason(opened: Any) -> None:
    queue, work = opened(), Recorded(refuse="The row cannot be written.")
    queue.work(work)
    queue.enqueue(asked("r"))

    record = settled(queue, "r", RunState.FAILED)

    assert record.reason == "The row cannot be written."
    assert work.steps("r") == ["begin"]


def test_another_process_s_cancel_stops_the_attempt(opened: Any) -> None:
    with held() as (attempt, started, _):
        queue, other, work = opened(), opened(), Recorded(attempt)
        queue.work(work)
        queue.enqueue(asked("r"))
        assert started.wait(20)

        assert other.cancel("r", "a person said so")

        assert settled(other, "r", RunState.CANCELLED).facts == {"statuses": ["cancelled"]}
        assert not other.cancel("r", "again")
        assert not other.cancel("unknown", "why not")
    assert work.steps("r") == ["begin", "attempt 1", "finish"]


def test_a_queued_run_is_cancelled_at_once_and_never_begun(opened: Any) -> None:
    queue, work = opened(), Recorded()
    queue.enqueue(asked("r"))

    assert queue.cancel("r", "not needed")

    queue.work(work)
    queue.enqueue(asked("later"))
    settled(queue, "later", RunState.SUCCEEDED)
    assert queue.get("r").state is RunState.CANCELLED
    assert work.steps("r") == []


def test_a_run_between_two_attempts_is_cancelled(opened: Any) -> None:
    def fail(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        return {"status": "failed", "reason": "no"}

    queue, work = opened(delay=lambda _: timedelta(hours=1)), Recorded(fail)
    queue.work(work)
    queue.enqueue(asked("r"))
    settled(queue, "r", RunState.WAITING)

    assert queue.cancel("r", "enough")

    record = settled(queue, "r", RunState.CANCELLED)
    assert (record.reason, record.facts) == ("enough", {"statuses": ["failed", "cancelled"]})


def test_one_run_at_a_time_in_a_workspace_and_several_beside(opened: Any) -> None:
    running: dict[str, int] = {}
    most: dict[str, int] = {}
    guard = threading.Lock()

    def count(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        with guard:
            for name in (request["workspace"], "all"):
                running[name] = running.get(name, 0) + 1
                most[name] = max(most.get(name, 0), running[name])
        time.sleep(0.02)
        with guard:
            for name in (request["workspace"], "all"):
                running[name] -= 1
        return succeed(request, number, stop)

    queue, other = opened(concurrent_runs=2), opened(concurrent_runs=2)
    ids = [f"{w}{n}" for n in range(6) for w in "abcd"]
    for run_id in ids:
        queue.enqueue(asked(run_id, workspace=run_id[0]))
    queue.work(Recorded(count))
    other.work(Recorded(count))
    for run_id in ids:
        settled(queue, run_id, RunState.SUCCEEDED)

    assert {name: most[name] for name in "abcd"} == dict.fromkeys("abcd", 1)
    assert 2 <= most["all"] <= 4


def test_schedules_go_before_planned_tasks_and_these_before_the_rest(opened: Any) -> None:
    queue, work = opened(concurrent_runs=1), Recorded()
    for number, priority in enumerate(("normal", "todo", "schedule", "todo", "schedule")):
        queue.enqueue(asked(f"{priority}{number}", priority=priority))
    queue.work(work)
    settled(queue, "normal0", RunState.SUCCEEDED)

    begun = [run_id for step, run_id in work.calls if step == "begin"]
    assert begun == ["schedule2", "schedule4", "todo1", "todo3", "normal0"]


def test_a_workspace_with_many_runs_does_not_hold_the_others_up(opened: Any) -> None:
    queue, work = opened(concurrent_runs=1), Recorded()
    for number in range(10):
        queue.enqueue(asked(f"busy{number}", workspace="busy"))
    queue.enqueue(asked("calm", workspace="calm"))
    queue.work(work)
    settled(queue, "busy9", RunState.SUCCEEDED)

    begun = [run_id for step, run_id in work.calls if step == "begin"]
    assert begun.index("calm") <= 1


def test_a_process_works_only_on_the_workspaces_it_serves(opened: Any) -> None:
    queue, mine = opened(), Recorded()
    queue.work(mine, workspace="mine")
    queue.enqueue(asked("theirs", workspace="theirs"))
    queue.enqueue(asked("ours", workspace="mine"))
    settled(queue, "ours", RunState.SUCCEEDED)
    assert queue.get("theirs").state is RunState.QUEUED

    theirs = Recorded()
    queue.work(theirs, workspace="theirs")
    settled(queue, "theirs", RunState.SUCCEEDED)
    assert mine.steps("theirs") == []


def test_a_handed_off_run_is_ready_until_somebody_settles_it(opened: Any) -> None:
    def hand(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        return {"status": "handed-off", "reason": "nobody to run it"}

    queue, other = opened(), opened()
    work = Recorded(lambda r, n, s: hand(r, n, s) if r["run_id"] == "r" else succeed(r, n, s))
    queue.work(work)
    queue.enqueue(asked("r"))
    settled(queue, "r", RunState.READY)
    queue.enqueue(asked("next"))
    settled(queue, "next", RunState.SUCCEEDED)

    assert other.settle("r", RunState.SUCCEEDED, reason="a person did it", result="fine")
    assert not other.settle("r", RunState.FAILED)

    record = other.get("r")
    assert (record.state, record.reason, record.result) == (
        RunState.SUCCEEDED, "a person did it", "fine",
    )  # fmt: skip
    end = time.monotonic() + 20
    while work.steps("r")[-1] != "finish" and time.monotonic() < end:
        time.sleep(0.01)
    assert work.steps("r") == ["begin", "attempt 1", "finish"]


def test_a_run_without_consent_waits_and_is_queued_by_it(opened: Any) -> None:
    queue, work = opened(), Recorded()
    queue.work(work)
    queue.enqueue(asked("r"), state=RunState.NEEDS_CONSENT, reason="nobody agreed")
    queue.enqueue(asked("later"))
    settled(queue, "later", RunState.SUCCEEDED)
    assert work.steps("r") == []

    assert queue.settle("r", RunState.QUEUED)

    settled(queue, "r", RunState.SUCCEEDED)


def test_a_slot_that_was_passed_over_is_recorded_and_never_worked_on(opened: Any) -> None:
    queue, work = opened(), Recorded()
    queue.work(work)
    record = queue.enqueue(asked("r"), state=RunState.SKIPPED, reason="too late")
    queue.enqueue(asked("later"))
    settled(queue, "later", RunState.SUCCEEDED)

    assert (record.state, record.reason) == (RunState.SKIPPED, "too late")
    assert record.ended is not None
    assert work.steps("r") == []


def test_runs_are_listed_newest_first_by_workspace_subject_and_state(opened: Any) -> None:
    queue = opened()
    for number in range(5):
        queue.enqueue(asked(f"r{number}", subject=f"s{number % 2}"))
    queue.enqueue(asked("other", workspace="elsewhere"))
    queue.cancel("r2", "x")

    def listed(**filters: Any) -> list[str]:
        return [run.run_id for run in queue.runs(workspace="w", **filters)]

    assert listed() == ["r4", "r3", "r2", "r1", "r0"]
    assert listed(subject="s0") == ["r4", "r2", "r0"]
    assert listed(states={RunState.CANCELLED}) == ["r2"]
    assert listed(limit=2) == ["r4", "r3"]
    assert queue.get("nothing") is None


def test_closing_puts_a_run_back_and_the_next_process_goes_on(opened: Any) -> None:
    with held() as (attempt, started, _):
        one, two = opened(), opened()
        one.work(Recorded(attempt))
        one.enqueue(asked("r"))
        assert started.wait(20)
        one.close()

        after = Recorded()
        assert two.get("r").state is RunState.QUEUED
        two.work(after)
        settled(two, "r", RunState.SUCCEEDED)

    assert after.steps("r") == ["recover", "attempt 1", "finish"]


def test_resting_puts_back_and_starts_nothing_more(opened: Any) -> None:
    with held() as (attempt, started, _):
        queue = opened()
        queue.work(Recorded(attempt), workspace="w")
        queue.enqueue(asked("r"))
        assert started.wait(20)

        queue.rest("w")

        assert queue.get("r").state is RunState.QUEUED
        queue.work(Recorded(), workspace="other")
        queue.enqueue(asked("o", workspace="other"))
        settled(queue, "o", RunState.SUCCEEDED)
        assert queue.get("r").state is RunState.QUEUED


def test_a_claim_whose_answer_was_lost_is_worked_on_after_all(
    opened: Any, engine_url: str, tmp_path: Path
) -> None:
    """The connection broke between the server's commit and its answer, so no attempt began."""
    queue, work = opened(), Recorded()
    queue.enqueue(asked("r"))
    database = open_database(tmp_path / "state", engine_url)
    with database.transaction() as session:
        claim = run_table.claim(session, queue.name, None, 1)
    database.close()
    assert claim is not None
    assert queue.get("r").state is RunState.RUNNING

    queue.work(work)

    assert settled(queue, "r", RunState.SUCCEEDED).attempts == 1
    assert work.steps("r") == ["recover", "begin", "attempt 1", "finish"]


def test_a_damaged_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "engine.sqlite").write_bytes(b"no database at all " * 100)

    with pytest.raises(SidecarError) as caught:
        DurableQueue(open_database(state, "")).runs(workspace="w")

    assert caught.value.code is ErrorCode.CORRUPT
    assert str(tmp_path) not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    url = "postgresql://someone:secret@127.0.0.1:1/x"

    with pytest.raises(SidecarError) as caught:
        DurableQueue(open_database(Path("unused"), url)).runs(workspace="w")

    assert caught.value.code is ErrorCode.UNAVAILABLE
    assert "secret" not in str(caught.value)
