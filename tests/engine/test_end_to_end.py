"""A schedule written in the file runs: `sidecar serve`, a real agent process, all records of it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from sidecar.cli.main import INTERRUPTED
from sidecar.domain.run import ENDED, RunState, run_name
from tests.engine.real_sidecar import SIDECAR, Place, is_alive, until
from tests.faces.wire import INITIALIZE, Wire

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place whose agents are ended after the test, whatever happened."""
    made = Place.make(tmp_path)
    yield made
    for _, pid in made.starts:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def status_over_mcp(place: Place) -> dict:
    """What an agent is told of the schedule by its own session."""
    command = [*SIDECAR, "mcp", "--solo", "--workspace", str(place.root)]
    wire = Wire(command, env=place.environment)
    try:
        wire.request("initialize", INITIALIZE)
        wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        call = {"name": "get_schedule_status", "arguments": {"schedule_id": "1"}}
        answer = wire.request("tools/call", call, number=2)
        return answer["result"]["structuredContent"]["schedules"][0]
    finally:
        wire.process.stdin.close()
        wire.process.wait(60)


def test_a_due_schedule_runs_once_and_everybody_is_told(place: Place):
    place.schedule(unit="minute", due_in=3)
    assert place.sidecar("trust", "--schedules").returncode == 0
    serve = place.serve()
    try:
        log = (place.tools / "serve.log").read_text
        (first, *_) = until(lambda: [run for run in place.runs() if run.state in ENDED], log)
    finally:
        serve.send_signal(signal.SIGINT)
        code = serve.wait(60)

    assert code == INTERRUPTED, (place.tools / "serve.log").read_text()
    assert (first.state, first.attempts) == (RunState.SUCCEEDED, 1)
    assert [run for run, _ in place.starts].count(first.run_id) == 1
    (row,) = [row for row in place.rows() if row["task_id"] == run_name(first.run_id)]
    assert (row["result"], row["mode"], row["priority"]) == ("completed", "builder", "schedule")
    assert row["end_time"]
    assert place.told()["lastExecutionTime"]
    assert place.told()["lastTaskId"] in {run_name(each.run_id) for each in place.runs()}
    shown = json.loads(place.sidecar("runs", "--json").stdout)["runs"]
    assert (shown[0]["run_id"], shown[0]["state"]) == (first.run_id, "succeeded")
    assert status_over_mcp(place)["last_run"]["state"] == "succeeded"


def test_a_run_whose_sidecar_is_killed_is_taken_over_by_the_next(place: Place):
    place.order("hang", "succeed")
    place.schedule(unit="hour", due_in=2)
    assert place.sidecar("trust", "--schedules").returncode == 0
    killed = place.serve()
    until(lambda: place.starts, (place.tools / "serve.log").read_text)
    killed.kill()
    killed.wait()
    serve = place.serve()
    try:
        (run,) = until(lambda: [each for each in place.runs() if each.state in ENDED])
    finally:
        serve.send_signal(signal.SIGINT)
        serve.wait(60)

    assert run.state is RunState.SUCCEEDED
    assert [each.run_id for each in place.runs()] == [run.run_id]
    assert [started for started, _ in place.starts] == [run.run_id, run.run_id]
    assert not is_alive(place.starts[0][1]), "the first agent was left running"
    assert [(row["result"], bool(row["end_time"])) for row in place.rows()] == [("completed", True)]
    assert (place.root / "work.txt").read_text().splitlines() == [run.run_id]


def test_nothing_runs_before_a_person_agreed_and_then_without_a_restart(place: Place):
    place.schedule(unit="hour", due_in=3)
    serve = place.serve()
    try:
        (run,) = until(place.runs, (place.tools / "serve.log").read_text)
        assert (run.state, place.starts) == (RunState.NEEDS_CONSENT, [])
        approved = place.sidecar("trust", "--schedules")
        (ended,) = until(lambda: [each for each in place.runs() if each.state in ENDED])
    finally:
        serve.send_signal(signal.SIGINT)
        serve.wait(60)

    assert "It may go on: Build" in approved.stdout
    assert (ended.run_id, ended.state) == (run.run_id, RunState.SUCCEEDED)
    assert [started for started, _ in place.starts] == [run.run_id]


@dataclass(frozen=True)
class ByHand:
    """What a person's commands answered, one after the other, in one workspace."""

    waits: CompletedProcess[str]
    done: CompletedProcess[str]
    failed: CompletedProcess[str]
    idle: CompletedProcess[str]
    unknown: CompletedProcess[str]
    starts: int
    held_back: CompletedProcess[str]
    resumed: CompletedProcess[str]
    again: CompletedProcess[str]
    released: CompletedProcess[str]


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> ByHand:
    """A run that waits, one that succeeds, and one that fails until it is given up.

    Made once, because the pauses before the second and the third attempt are the product's own.
    """
    place = Place.make(tmp_path_factory.mktemp("by-hand"))
    place.schedule(unit="hour", due_in=3000)
    place.order("succeed", "fail")
    return ByHand(
        waits=place.sidecar("run", "Build"),
        done=place.sidecar("run", "Build", "--trust"),
        failed=place.sidecar("run", "1", SIDECAR_TRUST="1"),
        idle=place.sidecar("run", "--due", "--trust"),
        unknown=place.sidecar("run", "Biuld"),
        starts=len(place.starts),
        held_back=place.sidecar("next"),
        resumed=place.sidecar("resume", "Build"),
        again=place.sidecar("resume", "Build"),
        released=place.sidecar("next"),
    )


def test_run_shows_the_events_and_its_exit_code_tells(by_hand: ByHand):
    codes = (by_hand.waits.returncode, by_hand.done.returncode, by_hand.idle.returncode)
    assert codes == (3, 0, 0)
    assert "start 1: succeed" in by_hand.done.stdout
    assert "Nothing is due." in by_hand.idle.stdout
    assert by_hand.failed.returncode == 1
    assert "start 2: fail" in by_hand.failed.stdout
    assert (by_hand.unknown.returncode, by_hand.starts) == (2, 4)
    assert "There is no schedule `Biuld`" in by_hand.unknown.stderr


def test_a_schedule_given_up_is_resumed_by_a_person(by_hand: ByHand):
    assert "Build: suspended" in by_hand.held_back.stdout
    assert "held back since" in by_hand.resumed.stdout
    assert "nothing held it back" in by_hand.again.stdout
    assert "suspended" not in by_hand.released.stdout
