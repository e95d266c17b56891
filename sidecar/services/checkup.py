"""Checks of the workspace's files that execute nothing: for ``run_validation``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from pydantic import BaseModel

from sidecar.domain.errors import SidecarError
from sidecar.domain.finding import Finding, Severity
from sidecar.domain.kind import Checked, Kind, Other
from sidecar.domain.modes import ModesFile
from sidecar.services.context import Context
from sidecar.services.diagnosis import FileReport, diagnose_workspace
from sidecar.services.project import load_project
from sidecar.workspace.walking import Walk

Status = Literal["passed", "failed", "error", "skipped"]
SHOWN_FINDINGS = 3
WALKED_FILES = 2000
LEAST_FREE_BYTES = 100_000_000
NEEDED_PYTHON = (3, 11)
_FIX_HINT = "`sidecar fix` mends what can be mended safely; `sidecar rules CODE` explains a rule."


class CheckLine(BaseModel):
    """One check: ``evidence`` is ``file:line`` with lines counted from 1, ``hint`` what to do."""

    id: str
    category: str
    status: Status
    evidence: str = ""
    message: str = ""
    hint: str = ""


def _line(report: FileReport, finding: Finding) -> int:
    return report.source.position(finding.span.start).line + 1


def _told(report: FileReport, findings: list[Finding]) -> str:
    shown = [
        f"line {_line(report, finding)}: {finding.code} {finding.message}"
        for finding in findings[:SHOWN_FINDINGS]
    ]
    more = len(findings) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _file_check(category: str, report: FileReport, findings: list[Finding]) -> CheckLine:
    """A file passes when it could be read and none of the findings is there."""
    if report.error:
        return CheckLine(
            id=report.path,
            category=category,
            status="error",
            evidence=report.path,
            message=report.error,
        )
    if not findings:
        return CheckLine(id=report.path, category=category, status="passed", evidence=report.path)
    return CheckLine(
        id=report.path,
        category=category,
        status="failed",
        evidence=f"{report.path}:{_line(report, findings[0])}",
        message=_told(report, findings),
        hint=_FIX_HINT,
    )


def _reports(context: Context, kinds: Iterable[Checked] = (*Kind, *Other)) -> list[FileReport]:
    return diagnose_workspace(context.workspace, context.settings, context.clock(), kinds)


def _errors(report: FileReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity is Severity.ERROR]


def config(context: Context, target: str, _limit: int) -> Iterator[CheckLine]:
    """Every file of the sidecar's kinds, or the one that is named, against all rules."""
    for report in _reports(context):
        if target in ("", report.path) or report.path.startswith(f"{target.rstrip('/')}/"):
            yield _file_check("config", report, _errors(report))


def orchestrator_files(context: Context, _target: str, _limit: int) -> Iterator[CheckLine]:
    """The files that the loop runs by: there, readable, taken by the product they belong to."""
    kinds = [kind for kind in Kind if kind is not Kind.MODES]
    found = {report.kind: report for report in _reports(context, kinds)}
    for kind in kinds:
        report = found.get(kind)
        if report is not None:
            yield _file_check("orchestrator_files", report, _errors(report))
            continue
        path = context.workspace.path(kind, context.settings.product)
        yield CheckLine(
            id=path,
            category="orchestrator_files",
            status="skipped",
            evidence=path,
            message=f"There is no {path}.",
            hint="`sync_environment` creates what is missing.",
        )


def modes_configuration(context: Context, _target: str, _limit: int) -> Iterator[CheckLine]:
    """The mode file as the product loads it, and each mode of it."""
    category = "modes_configuration"
    reports = _reports(context, [Kind.MODES])
    if not reports:
        path = context.workspace.path(Kind.MODES, context.settings.product)
        text = f"There is no {path}, so only the product's own modes exist."
        yield CheckLine(id=path, category=category, status="skipped", message=text)
        return
    report = reports[0]
    yield _file_check(category, report, _errors(report))
    file = load_project(context.workspace, context.settings, context.clock()).modes
    if isinstance(file, ModesFile):
        for mode in file.load.modes:
            yield CheckLine(
                id=f"mode {mode.slug}", category=category, status="passed", evidence=report.path
            )


def file_integrity(context: Context, target: str, limit: int) -> Iterator[CheckLine]:
    """Files that are there, not too large, and hold what their names promise."""
    for path in _named(context, target):
        problem = _integrity_problem(context, path, limit)
        yield CheckLine(
            id=path,
            category="file_integrity",
            status="failed" if problem else "passed",
            evidence=path,
            message=problem,
        )


def _named(context: Context, target: str) -> list[str]:
    files = context.workspace.files
    if not target:
        paths = (context.workspace.path(kind, context.settings.product) for kind in Kind)
        return [path for path in paths if files.exists(path)]
    if files.exists(target):
        return [target]
    found = (entry.path for entry in files.walk(target, Walk()) if entry.type == "file")
    return [path for path, _ in zip(found, range(WALKED_FILES), strict=False)]


def _integrity_problem(context: Context, path: str, limit: int) -> str:
    try:
        content = context.workspace.files.read(path, limit=limit)
    except SidecarError as error:
        return error.message
    text_file = path.endswith((".json", ".md", ".tsv", ".yaml", ".yml", ".toml", ".py", ".txt"))
    try:
        text = content.data.decode("utf-8")
        if path.endswith(".json"):
            json.loads(text)
    except UnicodeDecodeError as error:
        return f"It is not UTF-8 text: byte {error.start}." if text_file else ""
    except ValueError as error:
        return f"It is not JSON: {error}."
    return "It holds NUL characters." if text_file and "\0" in text else ""


def system_health(context: Context, _target: str, _limit: int) -> Iterator[CheckLine]:
    """What the sidecar itself needs: its Python, room on the disk, its own records."""
    yield _health("python", _python_problem(), "Install Python 3.11 or newer.")
    free = shutil.disk_usage(context.workspace.root).free
    room = "" if free >= LEAST_FREE_BYTES else f"Only {free // 1_000_000} MB are free."
    yield _health("disk space", room, "Free some space on the disk of the workspace.")
    yield _health("records", _store_problem(context), "Close other programs that use the folder.")


def _health(name: str, problem: str, hint: str) -> CheckLine:
    return CheckLine(
        id=name,
        category="system_health",
        status="failed" if problem else "passed",
        message=problem,
        hint=hint if problem else "",
    )


def _python_problem() -> str:
    if sys.version_info >= NEEDED_PYTHON:
        return ""
    return f"This is Python {sys.version.split()[0]}."


def _store_problem(context: Context) -> str:
    try:
        with context.workspace.store.transaction() as transaction:
            transaction.items("validation")
    except SidecarError as error:
        return error.message
    return ""


Checkup = Callable[[Context, str, int], Iterator[CheckLine]]

CHECKUPS: dict[str, Checkup] = {
    "config": config,
    "file_integrity": file_integrity,
    "orchestrator_files": orchestrator_files,
    "modes_configuration": modes_configuration,
    "system_health": system_health,
}
