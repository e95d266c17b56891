"""Runs pytest inside the project's own interpreter: `pytest_entry.py OPTIONS_JSON ARGV...`.

Started as a script, so nothing of ours is importable by the tests, nor is anything of theirs by
us; works on every Python that pytest supports. Writes one JSON line an event, so that a crash
or a hang loses nothing that was known before.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

NO_PYTEST = 97  # as pytest_stage has it


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
            own = str(Path(__file__).parent / "*.py")
            self._coverage.set_option("run:omit", [*omitted, own])
        self._coverage.start()

    def finish(self) -> None:
        """Stop measuring, join the data of child processes, write the JSON report."""
        self._coverage.stop()
        gc.freeze()  # all that the tests left would be looked through again and again
        self._coverage.save()
        try:
            if self._coverage.get_option("run:parallel"):
                self._coverage.combine(data_paths=[str(Path(self._report).parent)])
            self._coverage.json_report(outfile=self._report)
        except self._trouble as error:
            print(f"coverage: {error}", file=sys.stderr)


def plugins(name: str) -> ModuleType:
    """Our plugins, loaded without a name that the tests could import or take."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"_sidecar_{name}", path)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it is our own file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> int:
    """Run pytest with the events; its exit status is ours."""
    options, arguments = json.loads(sys.argv[1]), sys.argv[2:]
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # before 3.11 there is no -P, and this folder came first
    if options["keep_path"]:
        sys.path.insert(0, str(Path.cwd()))
    # Before pytest is imported: the project may be something that pytest itself is made of.
    measurement = Measurement(options["coverage"]) if options.get("coverage") else None
    try:
        import pytest  # noqa: PLC0415
    except ImportError:
        return NO_PYTEST
    own = plugins("pytest_events")
    if importlib.util.find_spec("xdist"):  # its workers know no plugin of ours
        arguments += ["-o", f"faulthandler_timeout={options['stall']:g}"]
        options["stall"] = 0
    sys.argv = ["pytest", *arguments]
    quiet = own.Quiet(measures=measurement is not None, storage=options["benchmark_storage"])
    chosen = [own.Events(options["events"]), quiet]
    if options["stall"]:
        arguments += ["-o", "faulthandler_timeout=0"]
        chosen.append(own.Stalls(options["stall"]))
    if options.get("speed"):
        benchmarks = plugins("pytest_benchmarks").Benchmarks
        chosen.append(benchmarks(options["events"], options["only"]))
    try:
        return int(pytest.main(arguments, plugins=chosen))
    finally:
        sys.stdout.flush()
        if measurement is not None:
            measurement.finish()


if __name__ == "__main__":
    sys.exit(main())
