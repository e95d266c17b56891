"""The sidecar's own diagnosis of the workspace's files, where the sidecar is installed."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from typing import Any

from validation.checks import Check, Status
from validation.plan import Stage
from validation.report import StageResult
from validation.run import Run


def run(run: Run, stage: Stage) -> StageResult:
    """One check for each file; an error-severity finding fails it."""
    if find_spec("sidecar") is None:
        return StageResult(stage, not_run="The sidecar is not installed beside this harness.")
    # The child's folder is neutral: with -P alone, -m would still look into the current one.
    command = [sys.executable, "-P", "-m", "sidecar", "check", "--format", "json"]
    outcome = run.start(stage, [*command, run.plan.root])
    try:
        text = outcome.output(limit=100_000_000)
        files = json.loads(text[text.index("{") :])["files"]
    except (ValueError, KeyError, TypeError):
        message = f"`sidecar check` gave no report.\n{run.relative(outcome.tail(10))}"
        broken = Check("sidecar check", Status.ERROR, stage.category, message)
        return StageResult(stage, (broken,), seconds=outcome.seconds)
    checks = tuple(_check(stage, run.relative(str(f["path"])), f) for f in files)
    return StageResult(stage, checks, seconds=outcome.seconds)


def _check(stage: Stage, path: str, entry: dict[str, Any]) -> Check:
    errors = [f for f in entry["findings"] if f["severity"] == "error"]
    if not errors:
        return Check(path, Status.PASSED, stage.category, file=path)
    first = errors[0]
    line = first["range"]["start"]["line"] + 1
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    message = f"{first['code']} {first['message']}{more}"
    return Check(path, Status.FAILED, stage.category, message, path, line, hint="sidecar fix")
