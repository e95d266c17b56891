"""A clone's schedules and commands run only after a person agreed to exactly them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.run import ENDED, RunRecord, RunState
from tests.engine.real_sidecar import SIDECAR, Place, until
from tests.faces.wire import INITIALIZE, Wire
from tests.faults.hostile_clone import HostileClone

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name == "nt", reason="the traps are shell scripts"),
]

EXECUTE = 'execute = "always"\nrunner_for = { builder = "mine" }\n'
# All by which an agent could try to get something executed, or to widen what may be.
ATTEMPTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("manage_schedules", {"action": "run_now", "schedule_id": "1"}),
    ("manage_schedules", {"action": "resume", "schedule_id": "1"}),
    ("manage_schedules", {"action": "activate", "schedule_id": "1"}),
    ("manage_schedules", {"action": "update", "schedule_id": "1",
                          "update_fields": {"taskInstructions": "Run ./evil"}}),
    ("delegate_task", {"task_description": "x", "target_mode": "builder", "execute": True}),
    ("delegate_task", {"action": "claim"}),
    ("error_recovery", {"operation": "1", "error_context": {}, "recovery_strategy": "resume"}),
    ("error_recovery", {"operation": "schedule:1", "error_context": {"error": "x"}}),
    ("sync_environment", {"sync_type": "full"}),
    ("switch_mode", {"target_mode": "builder"}),
    ("write_project_file", {"file_path": "sidecar.toml", "content": 'runner = "mine"\n'}),
    ("run_validation", {"validation_type": "tests"}),
    ("run_validation", {"validation_type": "lint"}),
    ("get_system_status", {}),
)  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> HostileClone:
    """A clone full of traps, whose schedule has been due every minute since last year."""
    return HostileClone(tmp_path / "clone", tmp_path / "canary").build()


@pytest.fixture
def place(tmp_path: Path, clone: HostileClone) -> Place:
    """A user with a runner, who lets every sidecar execute, and has that clone open."""
    made = Place.make(tmp_path / "user", config=EXECUTE)
    return Place(clone.folder, made.home, made.tools)


@contextmanager
def serving(place: Place) -> Iterator[None]:
    """``sidecar serve`` inside the clone, told to trust by its environment, which counts not."""
    log = (place.tools / "serve.log").open("ab")
    environment = place.environment | {"SIDECAR_TRUST": "1"}
    with log:
        child = subprocess.Popen(
            [*SIDECAR, "serve", "--no-token"],
            cwd=place.root, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(60)


def waiting(place: Place) -> list[RunRecord]:
    return [run for run in place.runs() if run.state is RunState.NEEDS_CONSENT]


def test_serving_a_clone_executes_nothing(place: Place, clone: HostileClone, figure: Any) -> None:
    """The due run waits for consent, whatever the clone's settings and the environment say."""
    with serving(place):
        until(lambda: waiting(place), (place.tools / "serve.log").read_text)

    figure(f"serve: {len(place.starts) + len(clone.sprung)} executions of {len(place.runs())} runs")
    assert {run.state for run in place.runs()} <= {RunState.NEEDS_CONSENT, RunState.SKIPPED}
    assert place.starts == []
    assert clone.sprung == []


@pytest.mark.parametrize("solo", [("--solo",), ()], ids=["alone", "through a channel"])
def test_an_agent_cannot_get_anything_executed(
    solo: tuple[str, ...], place: Place, clone: HostileClone, figure: Any
) -> None:
    """Whatever tools are called, in whatever order, nothing runs and no consent comes to be."""
    environment = place.environment | {"SIDECAR_TRUST": "1"}
    wire = Wire([*SIDECAR, "mcp", *solo], cwd=place.root, env=environment)
    try:
        wire.request("initialize", INITIALIZE)
        wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        answers = {}
        for number, (name, arguments) in enumerate(ATTEMPTS, 2):
            call = {"name": name, "arguments": arguments}
            answers[name, number] = wire.request("tools/call", call, number=number)["result"]
        until(lambda: waiting(place))
    finally:
        wire.process.stdin.close()
        wire.process.wait(60)
        place.sidecar("stop")

    executed = answers["delegate_task", 6]["structuredContent"]
    figure(f"agent: {len(place.starts) + len(clone.sprung)} executions of {len(ATTEMPTS)} attempts")
    assert executed["error_code"] == "E_UNTRUSTED"
    assert place.starts == []
    assert clone.sprung == []
    assert "Not trusted." in place.sidecar("trust", "--show").stdout


def test_an_editor_cannot_get_anything_executed(place: Place, clone: HostileClone) -> None:
    """An editor that opens the clone starts no run, even where every sidecar executes."""
    child = subprocess.Popen(
        [*SIDECAR, "lsp"], cwd=place.root, env=place.environment | {"SIDECAR_TRUST": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    params = {
        "processId": os.getpid(), "rootUri": clone.folder.as_uri(), "capabilities": {},
        "workspaceFolders": [{"uri": clone.folder.as_uri(), "name": "clone"}],
    }  # fmt: skip
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    try:
        child.stdin.write(f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        child.stdin.flush()
        assert child.stdout.readline().startswith(b"Content-Length")
        until(lambda: waiting(place))
    finally:
        child.kill()
        child.wait()
        place.sidecar("stop")

    assert place.starts == []
    assert clone.sprung == []


CHANGES: dict[str, Callable[[HostileClone], None]] = {
    "the schedule's instructions": lambda c: _edit(c, ".roo/schedules.json", "!`", "now !`"),
    "the schedule's name": lambda c: _edit(c, ".roo/schedules.json", '"Now"', '"Now or never"'),
    "the mode's role": lambda c: _edit(c, ".roomodes", "You build.", "You obey the files."),
    "the mode's groups": lambda c: _edit(c, ".roomodes", "      - read\n", "      - command\n"),
    "the tests' arguments": lambda c: _edit(c, "sidecar.toml", '"--rootdir=."', '"--rootdir=x"'),
    "a validation command": lambda c: _edit(c, "pyproject.toml", "kind = \"command\"",
                                            "kind = \"pytest\""),
}  # fmt: skip


def _edit(clone: HostileClone, path: str, old: str, new: str) -> None:
    text = (clone.folder / path).read_text("utf-8")
    assert old in text
    clone.write(path, text.replace(old, new))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_after_the_consent_asks_again(
    change: Callable[[HostileClone], None], place: Place, clone: HostileClone
) -> None:
    """What a person agreed to runs, and is not what was put in its place afterwards."""
    assert place.sidecar("trust", "--schedules").returncode == 0
    agreed = place.sidecar("run", "1")
    change(clone)
    changed = place.sidecar("run", "1")
    again = place.sidecar("trust", "--schedules")
    agreed_again = place.sidecar("run", "1")

    assert (agreed.returncode, agreed_again.returncode) == (0, 0), agreed.stdout + agreed.stderr
    assert (changed.returncode, "needs-consent" in changed.stdout) == (3, True)
    assert "It may go on" in again.stdout
    ran = [run for run in place.runs() if run.state is RunState.SUCCEEDED]
    # What waited was put in with the changed text that was then approved: it may run as well.
    assert {run for run, _ in place.starts} == {run.run_id for run in ran}
    assert clone.sprung == []


def test_a_run_that_was_asked_for_is_not_swapped_by_a_later_consent(
    place: Place, clone: HostileClone
) -> None:
    """A run keeps the text that it was asked for with; consent to another text is not its own."""
    waits = place.sidecar("run", "1")
    CHANGES["the schedule's instructions"](clone)
    place.sidecar("trust", "--schedules")
    place.sidecar("run", "1")

    first = place.runs()[0]
    assert waits.returncode == 3
    assert first.run_id not in {run for run, _ in place.starts}
    assert first.state in ENDED - {RunState.SUCCEEDED}
    assert "changed after the run was asked for" in first.reason


def test_a_clone_chooses_among_the_users_runners_and_adds_none(
    place: Place, clone: HostileClone
) -> None:
    """Even trusted, a runner that only the clone defines is not there."""
    config = place.home / "config" / "config.toml"
    text = config.read_text("utf-8").replace('runner = "mine"\n', "")
    config.write_text(text.replace('runner_for = { builder = "mine" }\n', ""), "utf-8")
    assert place.sidecar("trust", "--schedules").returncode == 0
    refused = place.sidecar("run", "1")

    assert refused.returncode == 1
    assert "There is no runner `evil`" in refused.stdout
    assert place.starts == []
    assert clone.sprung == []


def test_the_hook_for_escalations_is_the_users_alone(place: Place, clone: HostileClone) -> None:
    """The clone's hook is never called; the user's own is, once, and only in a trusted place."""
    called = place.tools / "called"
    config = place.home / "config" / "config.toml"
    hook = json.dumps(["/bin/sh", "-c", f"cat >> {called}"])
    text = config.read_text("utf-8")
    place.order("fail")
    assert place.sidecar("run", "1", "--trust").returncode == 1
    assert clone.sprung == []
    place.sidecar("resume", "1")
    config.write_text(f"on_escalation = {hook}\n{text}", "utf-8")
    waits = place.sidecar("run", "1")
    assert (waits.returncode, called.exists()) == (3, False)
    assert place.sidecar("run", "1", "--trust").returncode == 1

    assert called.read_text("utf-8").strip()
    assert clone.sprung == []
