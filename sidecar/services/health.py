"""What one check of the system's status found, and the check of a state file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from sidecar.domain.errors import SidecarError
from sidecar.domain.finding import Severity
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.services.context import Context
from sidecar.services.diagnosis import FileReport, diagnose_path

Health = Literal["ok", "warning", "error", "timed out"]


class FileHealth(BaseModel):
    """One state file as it is now."""

    kind: str
    path: str
    status: Health
    size: int | None = None
    age_seconds: int | None = None
    locked: bool = False
    errors: int = 0
    warnings: int = 0
    problem: str | None = None


@dataclass
class Report:
    """What one check found."""

    status: Health = "ok"
    reasons: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    file: FileHealth | None = None

    def warn(self, reason: str) -> None:
        """Note what a person should look at."""
        self.status = "warning" if self.status == "ok" else self.status
        self.reasons.append(reason)

    def fail(self, reason: str) -> None:
        """Note what does not work."""
        self.status = "error"
        self.reasons.append(reason)


Check = Callable[[Context, Project], Report]


def file_check(kind: Kind) -> Check:
    """The check of the workspace's file of a kind."""

    def check(context: Context, project: Project) -> Report:
        workspace, report = context.workspace, Report()
        path = workspace.path(kind, context.settings.product)
        if not workspace.files.exists(path):
            report.file = FileHealth(kind=kind, path=path, status="warning", problem="missing")
            report.warn(f"{path} is missing; sync_environment can create it.")
            if kind is Kind.MODES:
                report.reasons[-1] = f"{path} is missing; only built-in modes are known."
            return report
        content = workspace.files.read(path)
        found = diagnose_path(workspace, kind, path, project, context.settings)
        _judge(report, found)
        report.file = FileHealth(
            kind=kind,
            path=path,
            status=report.status,
            size=len(content.data),
            age_seconds=max(0, int((context.clock() - content.modified).total_seconds())),
            locked=_is_locked(context, path),
            errors=found.count(Severity.ERROR),
            warnings=found.count(Severity.WARNING),
            problem=report.reasons[0] if report.reasons else None,
        )
        return report

    return check


def _judge(report: Report, found: FileReport) -> None:
    product = found.product
    if found.error:
        report.fail(f"{found.path}: {found.error}")
    elif product is not None and not product.loaded and found.count(Severity.ERROR):
        report.fail(f"{product.name} loads nothing of {found.path}: {product.verdict}.")
    elif count := found.count(Severity.ERROR):
        report.warn(f"{found.path}: {count} error(s); `sidecar check` explains them.")


def _is_locked(context: Context, path: str) -> bool:
    try:
        with context.workspace.files.locks.hold(path, 0):
            return False
    except SidecarError:
        return True
