"""Runs the project's pytest and reads what it wrote: JUnit XML first, events where it died."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from validation import benchmark_json, changed_lines, coverage_json, junit
from validation.assertions import Detector
from validation.checks import Check, Status
from validation.events import EventStream
from validation.interpreters import Interpreter
from validation.plan import Stage
from validation.process import Outcome
from validation.report import StageResult
from validation.run import Run

ENTRY = Path(__file__).with_name("inside") / "pytest_entry.py"
NO_PYTEST = 97
NO_TESTS_COLLECTED = 5
_TROUBLE = {
    1: "pytest ended with status 1 although no test failed",
    2: "pytest was interrupted",
    3: "pytest had an internal error",
    4: "pytest refused its arguments",
}


def run(run: Run, stage: Stage, *, only: Sequence[str] = ()) -> StageResult:
    """One check for each test; a crash, a hang or a refusal is an error of its own.

    ``only`` are the ids of the tests to run, where not all are.
    """
    python = run.python
    if isinstance(python, str):
        return StageResult(stage, not_run=f"The project's Python cannot be used: {python}.")
    if "pytest" not in python.modules:
        return StageResult(stage, not_run="pytest is not installed in the project's Python.")
    if stage.kind == "benchmark" and "pytest_benchmark" not in python.modules:
        return StageResult(stage, not_run="pytest-benchmark is not installed.")
    folder = run.folder(stage)
    for name in ("junit.xml", "events.ndjson", "coverage.json", "benchmark.json"):
        (folder / name).unlink(missing_ok=True)
    events = EventStream(folder / "events.ndjson", run.plan.stall_seconds, _teller(run))
    argv = _argv(run, stage, python, folder, only)
    outcome = run.start(stage, argv, watch=events.follow)
    events.read()
    if outcome.returncode == NO_PYTEST:
        return StageResult(stage, not_run="pytest cannot be imported there.")
    checks, unreached = _checks(run, folder, events, outcome)
    checks = [replace(check, category=_category(run, stage, check)) for check in checks]
    result = StageResult(
        stage,
        checks=tuple(checks),
        seconds=outcome.seconds,
        unreached=unreached,
        warnings=tuple(dict.fromkeys(events.warnings)),
        findings=Detector(run.plan.root).look(checks) if stage.kind == "pytest" else (),
        retried=events.retried,
        artefacts=tuple(sorted(path.name for path in folder.iterdir())),
    )
    if stage.kind == "benchmark":
        return replace(result, samples=tuple(_samples(folder, events)))
    return _with_figures(run, result, python, folder)


def _teller(run: Run) -> Callable[[EventStream], None]:
    def tell(events: EventStream) -> None:
        done = sum(test.finished for test in events.tests.values())
        current = events.running[-1].id if events.running else ""
        run.progress.note(f"{done}/{events.collected} {current}")

    return tell


def _argv(
    run: Run, stage: Stage, python: Interpreter, folder: Path, only: Sequence[str]
) -> list[str]:
    options: dict[str, Any] = {
        "events": str(folder / "events.ndjson"),
        "keep_path": run.plan.keep_path,
        "benchmark_storage": (folder / "benchmarks").as_uri(),
        "stall": run.plan.stall_seconds * 0.9,
    }
    if _measures(run, stage, python):
        options["coverage"] = str(folder / "coverage.json")
    arguments = [
        f"--junitxml={folder / 'junit.xml'}",
        "--junitprefix=",
        *("-o", "junit_family=xunit1", "-o", "junit_duration_report=total"),
        *("-o", f"cache_dir={folder / 'pytest_cache'}"),
    ]
    if stage.kind == "benchmark":
        options |= {"speed": True, "only": list(only)}
        report = folder / "benchmark.json"
        arguments += ["--benchmark-only", f"--benchmark-json={report}"]
    if run.plan.keyword:
        arguments.append(f"-k{run.plan.keyword}")
    if run.fail_fast:
        arguments.append("-x")
    entry = [python.executable, *python.isolation, str(ENTRY), json.dumps(options)]
    return [*entry, *stage.argv, *arguments]


def _measures(run: Run, stage: Stage, python: Interpreter) -> bool:
    wanted = not run.wanted or "coverage" in run.wanted
    return stage.kind == "pytest" and run.plan.coverage and wanted and "coverage" in python.modules


def _category(run: Run, stage: Stage, check: Check) -> str:
    if not stage.sorts:
        return stage.category
    return run.plan.category_of(check.id.partition("::")[0], check.markers)


def _checks(
    run: Run, folder: Path, events: EventStream, outcome: Outcome
) -> tuple[list[Check], int]:
    """The checks, and how many collected tests were never reached."""
    try:
        checks = junit.read(folder / "junit.xml")
        complete = events.ended or not events.path.exists()
    except (OSError, junit.BadJUnitError):
        checks, complete = events.checks(), False
    tidy = [replace(check, message=run.relative(check.message)) for check in checks]
    known = {check.id for check in tidy}
    if outcome.ending == "exit" and complete:
        return [*tidy, *_contradiction(tidy, outcome)], 0
    reason = _reason(outcome)
    running = [check for check in events.interrupted(reason) if check.id not in known]
    if not running:
        running = [Check("pytest", Status.ERROR, message=_told(run, reason, outcome))]
    return [*tidy, *running], max(0, events.collected - len(events.tests))


def _contradiction(checks: Sequence[Check], outcome: Outcome) -> list[Check]:
    """An exit status that the tests do not explain is an error, whatever the tests say."""
    code = outcome.returncode
    explained = code == 0 or (code in (1, 2) and any(check.bad for check in checks))
    if explained or (code == NO_TESTS_COLLECTED and not checks):
        return []
    if code == NO_TESTS_COLLECTED and all(c.status is Status.SKIPPED for c in checks):
        return []
    told = _TROUBLE.get(code or 0, f"pytest ended with status {code}")
    return [Check("pytest", Status.ERROR, message=f"{told}.\n{outcome.tail(15)}")]


def _reason(outcome: Outcome) -> str:
    if outcome.reason:
        return outcome.reason
    code = outcome.returncode
    if code is not None and code < 0:
        return f"The interpreter crashed with signal {-code}."
    return f"The interpreter ended with status {code} before pytest had finished."


def _told(run: Run, reason: str, outcome: Outcome) -> str:
    return f"{reason}\n{run.relative(outcome.tail(15))}".strip()


def _with_figures(run: Run, result: StageResult, python: Interpreter, folder: Path) -> StageResult:
    stage = result.stage
    if _measures(run, stage, python):
        try:
            result = replace(result, coverage=_coverage(run, folder))
        except (OSError, coverage_json.BadCoverageError):
            result = replace(result, coverage_missing="No coverage was written.")
    elif stage.kind == "pytest" and run.plan.coverage and "coverage" not in python.modules:
        missing = "coverage is not installed in the project's Python."
        result = replace(result, coverage_missing=missing)
    return result


def _coverage(run: Run, folder: Path) -> coverage_json.Coverage:
    """What was measured, with the changed lines where git keeps the project."""
    root = run.plan.root
    coverage = coverage_json.read(folder / "coverage.json")
    if not any((parent / ".git").exists() for parent in (root, *root.parents)):
        return coverage
    return replace(coverage, changed=changed_lines.measure(root, run.plan.changed_from, coverage))


def _samples(folder: Path, events: EventStream) -> list[benchmark_json.Sample]:
    path = folder / "benchmark.json"
    try:
        found = benchmark_json.read(path)
    except (OSError, benchmark_json.BadBenchmarkError):
        return []
    path.unlink()  # all raw timings make it huge; what is needed of them is kept
    return [replace(sample, speed=events.speeds.get(sample.name)) for sample in found]
