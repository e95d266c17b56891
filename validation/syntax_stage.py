"""Parses the project's Python, JSON and TOML without executing any of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from validation import discovery
from validation.checks import Check, Status
from validation.plan import Stage
from validation.report import StageResult
from validation.run import Run

SCRIPT = Path(__file__).with_name("syntax_script.py")
SUFFIXES = {".py", ".json", ".toml"}
# These allow comments by custom of the programs that read them.
COMMENTED = {"tsconfig.json", "jsconfig.json", "settings.json", "launch.json", "tasks.json"}


def run(run: Run, stage: Stage) -> StageResult:
    """One check for each file; the harness's own Python decides what is Python."""
    names = [path.relative_to(run.plan.root).as_posix() for path in _files(run.plan.root)]
    if not names:
        return StageResult(stage)
    folder = run.folder(stage)
    listing = folder / "files.list"
    listing.write_text("\0".join(names), encoding="utf-8", errors="surrogateescape")
    outcome = run.start(stage, [sys.executable, "-I", SCRIPT, listing])
    checks = []
    for line in outcome.output(limit=100_000_000).splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            status = Status.FAILED if entry["message"] else Status.PASSED
            checks.append(
                Check(entry["file"], status, stage.category, entry["message"], entry["file"],
                      entry["line"])
            )  # fmt: skip
    if len(checks) < len(names):
        culprit = names[len(checks)]
        message = outcome.reason or "The parser crashed on this file."
        checks.append(Check(culprit, Status.ERROR, stage.category, message, culprit))
    unreached = len(names) - len(checks)
    return StageResult(stage, tuple(checks), seconds=outcome.seconds, unreached=unreached)


def _files(root: Path) -> list[Path]:
    return [
        path
        for path in discovery.walk(root)
        if path.suffix in SUFFIXES and path.name not in COMMENTED
    ]
