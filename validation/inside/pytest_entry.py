"""Runs pytest inside the project's own interpreter: `pytest_entry.py OPTIONS_JSON ARGV...`.

Started as a script, so nothing of ours is importable by the tests, nor is anything of theirs by
us; works on every Python that pytest supports. Writes one JSON line an event, so that a crash
or a hang loses nothing that was known before.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import pytest
except ImportError:
    sys.exit(97)  # NO_PYTEST in pytest_stage

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

    def _write(self, **event: Any) -> None:
        if os.getpid() == self._pid:  # a fork of a test speaks only for itself
            event["at"] = round(time.time(), 4)
            os.write(self._file, (json.dumps(event) + "\n").encode())

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Hand each test's markers on to the JUnit report."""
        for item in items:
            names = sorted({marker.name for marker in item.iter_markers()})
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
        """Tell how a phase of a test ended."""
        self._write(
            event="phase",
            id=report.nodeid,
            when=report.when,
            outcome=report.outcome,
            xfail=hasattr(report, "wasxfail"),
            seconds=round(report.duration, 6),
            markers=dict(report.user_properties).get("sidecar_markers", ""),
            message=str(report.longrepr)[-4000:] if report.longrepr else "",
        )

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Tell which test is over."""
        self._write(event="finish", id=nodeid)

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Tell of a warning."""
        self._write(event="warning", message=str(warning_message.message)[:500])

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Tell that pytest itself came to its end."""
        self._write(event="end", status=int(exitstatus))


class Measurement:
    """Coverage of one run; the project's own settings decide what is measured."""

    def __init__(self, report: str) -> None:
        import coverage  # noqa: PLC0415 - a project without it must still be testable

        self._report = report
        self._trouble = coverage.CoverageException
        self._coverage = coverage.Coverage(data_file=report + ".data")
        if not getattr(self._coverage.config, "config_file", None):
            self._coverage.set_option("run:branch", value=True)
        if not self._coverage.get_option("run:source"):
            omitted: Any = self._coverage.get_option("run:omit") or []
            self._coverage.set_option("run:omit", [*omitted, __file__])
        self._coverage.start()

    def finish(self) -> None:
        """Stop measuring, join the data of child processes, write the JSON report."""
        self._coverage.stop()
        self._coverage.save()
        try:
            if self._coverage.get_option("run:parallel"):
                self._coverage.combine(data_paths=[str(Path(self._report).parent)])
            self._coverage.json_report(outfile=self._report)
        except self._trouble as error:
            print(f"coverage: {error}", file=sys.stderr)


def main() -> int:
    """Run pytest with the events; its exit status is ours."""
    options, arguments = json.loads(sys.argv[1]), sys.argv[2:]
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # before 3.11 there is no -P, and this folder came first
    if options["keep_path"]:
        sys.path.insert(0, str(Path.cwd()))
    measurement = Measurement(options["coverage"]) if options.get("coverage") else None
    sys.argv = ["pytest", *arguments]
    quiet = Quiet(measures=measurement is not None, storage=options["benchmark_storage"])
    try:
        return int(pytest.main(arguments, plugins=[Events(options["events"]), quiet]))
    finally:
        sys.stdout.flush()
        if measurement is not None:
            measurement.finish()


if __name__ == "__main__":
    sys.exit(main())
