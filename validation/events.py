"""The stream of events from `pytest_entry`: progress, stalls, and what a crash left behind."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from validation.checks import Check, Status

_BY_OUTCOME = {"passed": Status.PASSED, "failed": Status.FAILED, "skipped": Status.SKIPPED}
_WORSE = (Status.PASSED, Status.SKIPPED, Status.FAILED, Status.ERROR)


@dataclass
class Test:
    """A test as far as its events tell."""

    id: str
    file: str
    line: int
    started: float
    status: Status | None = None
    finished: bool = False
    seconds: float = 0.0
    message: str = ""
    markers: tuple[str, ...] = ()
    reruns: int = 0

    def take(self, event: dict[str, Any]) -> None:
        """Note how a phase ended; the worst phase decides, of the last try where it is retried."""
        self.seconds += event["seconds"]
        if event["outcome"] not in _BY_OUTCOME:  # "rerun", of the plugins that retry
            self.reruns += 1
            self.status = None
            return
        status = _BY_OUTCOME[event["outcome"]]
        if status is Status.FAILED and event["when"] != "call":
            status = Status.ERROR
        if event["xfail"] and status is Status.PASSED:
            status = Status.SKIPPED  # an expected failure that passed, and is not strict
        self.markers = tuple(filter(None, event["markers"].split(",")))
        if event["when"] != "call" and status is Status.PASSED:
            return
        if self.status is None or _WORSE.index(status) > _WORSE.index(self.status):
            self.status, self.message = status, event["message"]


@dataclass
class EventStream:
    """Reads the events as they come; ``follow`` is the ``watch`` of a process."""

    path: Path
    stall_seconds: float = 0.0
    on_test: Callable[[EventStream], None] = lambda _: None
    collected: int = 0
    uncollected: list[Check] = field(default_factory=list)
    tests: dict[str, Test] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    speeds: dict[str, float] = field(default_factory=dict)
    ended: bool = False
    _offset: int = 0

    @property
    def running(self) -> list[Test]:
        """Tests that started and did not finish."""
        return [test for test in self.tests.values() if not test.finished]

    @property
    def retried(self) -> tuple[str, ...]:
        """Tests that failed and passed when they were tried again."""
        tests = self.tests.values()
        return tuple(t.id for t in tests if t.reruns and t.status is Status.PASSED)

    def follow(self) -> str:
        """Read what is new; the reason to stop when a test has been silent for too long."""
        seen = self._offset
        self.read()
        if self._offset != seen:
            self.on_test(self)
        for test in self.running:
            if self.stall_seconds and time.time() - test.started > self.stall_seconds:
                return f"{test.id} took longer than {self.stall_seconds:g} s."
        return ""

    def read(self) -> None:
        """Take all complete lines that have been written."""
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            stream.seek(self._offset)
            data = stream.read()
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.split(b"\n"):
            # The tests can write there too: what is no event is none.
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "collected":
                self.collected = event["count"]
            case "uncollected":
                check = Check(event["id"], Status.ERROR, "", event["message"], event["id"])
                self.uncollected.append(check)
            case "start":
                args = (event["id"], event["file"], event["line"], event["at"])
                self.tests.setdefault(event["id"], Test(*args))
            case "phase" if event["id"] in self.tests:
                self.tests[event["id"]].take(event)
            case "finish" if event["id"] in self.tests:
                if "outcome" in event:
                    self.tests[event["id"]].take(event)
                self.tests[event["id"]].finished = True
            case "warning":
                self.warnings.append(event["message"])
            case "speed":
                self.speeds[event["id"]] = event["seconds"]
            case "end":
                self.ended = True

    def checks(self) -> list[Check]:
        """What is known of the tests that finished, for a run without a JUnit report."""
        done = [test for test in self.tests.values() if test.finished and test.status]
        return [*self.uncollected, *(_check(test, test.status) for test in done if test.status)]

    def interrupted(self, message: str) -> list[Check]:
        """The tests that were running when the run ended, as errors."""
        return [_check(test, Status.ERROR, message) for test in self.running]


def _check(test: Test, status: Status, message: str = "") -> Check:
    return Check(
        id=test.id,
        status=status,
        message=message or test.message,
        file=test.file.replace("\\", "/"),
        line=test.line,
        seconds=test.seconds,
        markers=test.markers,
    )
