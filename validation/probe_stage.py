"""The sidecar's own checks, called over its protocol; "not run" where there is no sidecar."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from typing import Any

from validation.checks import Check, Status
from validation.plan import Stage
from validation.report import Figure, StageResult
from validation.run import Run


def run(run: Run, stage: Stage) -> StageResult:
    """One check for each tool or transport."""
    if find_spec("sidecar") is None:
        return StageResult(stage, not_run="The sidecar is not installed beside this harness.")
    out = run.folder(stage) / "findings.json"
    command = [sys.executable, "-P", "-m", "validation.probe", stage.kind, str(out)]
    outcome = run.start(stage, command)
    try:
        findings = json.loads(out.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        message = f"{outcome.reason or 'The probe crashed.'}\n{run.relative(outcome.tail(10))}"
        broken = Check(stage.name, Status.ERROR, stage.category, message)
        return StageResult(stage, (broken,), seconds=outcome.seconds)
    checks = tuple(_check(run, stage, entry) for entry in findings["checks"])
    figures = tuple(Figure(**entry) for entry in findings["figures"])
    return StageResult(stage, checks, seconds=outcome.seconds, figures=figures)


def _check(run: Run, stage: Stage, entry: dict[str, Any]) -> Check:
    status = Status.FAILED if entry["problem"] else Status.PASSED
    message = run.relative(entry["problem"])
    return Check(entry["id"], status, stage.category, message, seconds=entry["seconds"])
