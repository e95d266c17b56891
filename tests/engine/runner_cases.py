"""What the tests of the runners share: a specification, a quick ladder, a count of processes."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from sidecar.engine.runner import Event, Outcome, Runner, RunSpec
from sidecar.engine.runners.bounds import Bounds
from sidecar.engine.runners.command import CommandRunner
from sidecar.engine.runners.dialects import claude
from sidecar.engine.runners.presets import Equipment, Preset
from sidecar.engine.runners.process import end_tree, members, of_run

HERE = Path(__file__).parent
AGENT = str(HERE / "scripted_agent.py")
QUICK = Bounds(ladder=(0.5, 0.5, 10.0), linger=0.5, cancel=1.0, answer=60.0)
PERMISSIONS = dict.fromkeys(("read", "search", "think", "edit"), "allow")


def scripted(behaviour: str, **bounds: object) -> CommandRunner:
    words = (AGENT, behaviour)
    preset = Preset("scripted", sys.executable, words, claude, lambda _: Equipment())
    return CommandRunner(preset=preset, bounds=replace(QUICK, **bounds))


def specification(folder: Path, **values: Any) -> RunSpec:
    root, kept = folder / "workspace", folder / "run"
    for each in (root, kept):
        each.mkdir(exist_ok=True)
    basis = RunSpec(
        run_id=f"ws:nightly@{uuid4().hex}",
        attempt=1,
        prompt="Tidy the plan.",
        mode=None,
        role="",
        root=root,
        folder=kept,
        argv=(),
        environment={},
        mcp=(),
        limit_seconds=120.0,
        permissions=PERMISSIONS,
    )
    return replace(basis, **values)


def worked(
    runner: Runner, spec: RunSpec, stop: threading.Event | None = None
) -> tuple[Outcome, list[Event]]:
    """The outcome and the events; whatever the test does, nobody of the run stays."""
    events: list[Event] = []
    try:
        return runner.run(spec, stop or threading.Event(), events.append), events
    finally:
        end_tree(of_run(spec.run_id))


def living(spec: RunSpec) -> int:
    """How many processes of the run there are."""
    return len(members(of_run(spec.run_id)))


def until(condition: Any, seconds: float = 60.0) -> None:
    """Wait for something that is sure to happen; the seconds only end a broken test."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@contextmanager
def in_thread(runner: Runner, spec: RunSpec, stop: threading.Event) -> Iterator[list[Any]]:
    """The runner at work in a thread of its own; the list has the outcome when the block ends."""
    results: list[Any] = []
    events: list[Event] = []

    def work() -> None:
        results.append(runner.run(spec, stop, events.append))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield results
    finally:
        stop.set()
        thread.join(60)
        with suppress(OSError):
            end_tree(of_run(spec.run_id))


def transcript(spec: RunSpec) -> list[dict[str, Any]]:
    text = (spec.folder / "transcript.ndjson").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]
