"""What is told of a pytest session as it happens: the plugins of `pytest_entry`."""

from __future__ import annotations

import faulthandler
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import warnings
    from collections.abc import Iterator


class Quiet:
    """Keeps other plugins from measuring at the same time and from writing into the project.

    Done here and not by arguments: a plugin that is installed but not loaded knows no arguments.
    """

    def __init__(self, *, measures: bool, storage: str) -> None:
        self._measures = measures
        self._storage = storage

    @pytest.hookimpl(hookwrapper=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> Iterator[None]:
        """Two measurements of coverage at once would spoil both; pytest-cov starts here."""
        if self._measures and hasattr(early_config.known_args_namespace, "cov_source"):
            early_config.known_args_namespace.cov_source = None
        yield

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """A benchmark among the tests is run once, as a test, unless it was asked for."""
        if hasattr(config.option, "benchmark_storage"):
            config.option.benchmark_storage = self._storage
            config.option.benchmark_disable = not config.option.benchmark_only


class Events:
    """A pytest plugin that tells what happens as it happens."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._pid = os.getpid()
        self._passed: dict[str, list[pytest.TestReport]] = {}

    def _write(self, **event: Any) -> None:
        if os.getpid() == self._pid:  # a fork of a test speaks only for itself
            event["at"] = round(time.time(), 4)
            os.write(self._file, (json.dumps(event) + "\n").encode())

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Hand each test's own name and markers on to the JUnit report, which garbles both."""
        for item in items:
            names = sorted({marker.name for marker in item.iter_markers()})
            item.user_properties.append(("sidecar_id", item.nodeid))
            item.user_properties.append(("sidecar_markers", ",".join(names)))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell what could not be collected."""
        if report.failed:
            self._write(event="uncollected", id=report.nodeid, message=str(report.longrepr)[-4000:])

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell how many tests there are."""
        self._write(event="collected", count=len(session.items))

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        """Tell which test starts."""
        self._write(event="start", id=nodeid, file=location[0], line=(location[1] or 0) + 1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell how a phase of a test ended; one that passed is told with the end of the test."""
        passed = self._passed.setdefault(report.nodeid, [])
        passed.append(report)
        if report.outcome != "passed" or hasattr(report, "wasxfail"):
            for each in passed:
                self._write(event="phase", **_phase(each))
            passed.clear()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Tell which test is over, and of what passed since its last trouble as of one phase."""
        passed, told = self._passed.pop(nodeid, []), {}
        if passed:
            calls = [report for report in passed if report.when == "call"]
            told = _phase((calls or passed)[-1])
            told["seconds"] = round(sum(report.duration for report in passed), 6)
        self._write(**{**told, "event": "finish", "id": nodeid})

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Tell of a warning."""
        self._write(event="warning", message=str(warning_message.message)[:500])

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Tell that pytest itself came to its end."""
        self._write(event="end", status=int(exitstatus))


def _phase(report: pytest.TestReport) -> dict[str, Any]:
    return {
        "id": report.nodeid,
        "when": report.when,
        "outcome": report.outcome,
        "xfail": hasattr(report, "wasxfail"),
        "seconds": round(report.duration, 6),
        "markers": dict(report.user_properties).get("sidecar_markers", ""),
        "message": str(report.longrepr)[-4000:] if report.longrepr else "",
    }


class Stalls:
    """Prints what all threads do when a test takes too long.

    As `faulthandler_timeout` does, which starts and ends a thread for each test: a timer that is
    set anew only when a tenth of its time has gone costs a quick test nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._file = os.dup(2)  # before pytest captures it
        self._set = float("-inf")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """Give the test its time."""
        now = time.monotonic()
        if now - self._set > self._seconds / 10:
            self._set = now
            faulthandler.dump_traceback_later(self._seconds, file=self._file)

    def pytest_sessionfinish(self) -> None:
        """What comes after the tests may take its time."""
        faulthandler.cancel_dump_traceback_later()
