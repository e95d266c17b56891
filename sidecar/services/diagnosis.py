"""Check a file, check the workspace: editor, shell and tools all ask here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.finding import Finding, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.modes import ModesFile
from sidecar.domain.project import File, Project, parse_file
from sidecar.domain.schedules import SchedulesFile, outcome
from sidecar.domain.source import Source
from sidecar.rules import registry
from sidecar.services.project import MAX_STATE_FILE_BYTES, load_project
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace


@dataclass(frozen=True)
class ProductVerdict:
    """What the product that owns a file makes of it: its word, and how much it takes."""

    name: str
    verdict: str
    loaded: int
    total: int


@dataclass(frozen=True)
class FileReport:
    """Everything known about one file; ``error`` says why it could not be checked."""

    path: str
    kind: Kind
    source: Source
    product: ProductVerdict | None = None
    findings: tuple[Finding, ...] = ()
    error: str = ""

    def count(self, severity: Severity) -> int:
        """How many findings have exactly this severity."""
        return sum(finding.severity is severity for finding in self.findings)


def diagnose(kind: Kind, path: str, text: str, project: Project, settings: Settings) -> FileReport:
    """Check one text, taken as the project's file of its kind; never raises."""
    file = parse_file(kind, text, path=path, product=project.product)
    view = project.having(file)
    found = registry.check(kind, file, view)
    findings = tuple(finding for finding in found if finding.code not in settings.ignore)
    return FileReport(path, kind, file.source, verdict_of(file, project), findings)


def verdict_of(file: File, project: Project) -> ProductVerdict | None:
    """What the product does with a file, None where no product owns files of its kind."""
    match file:
        case ModesFile():
            load = file.load
            return ProductVerdict(file.product, load.verdict, len(load.modes), file.total)
        case SchedulesFile():
            verdict = outcome(file, project.now, project.tz)
            return ProductVerdict("roo-scheduler", verdict.verdict, verdict.loaded, verdict.total)
        case _:
            return None


def diagnose_path(
    workspace: Workspace, kind: Kind, path: str, project: Project, settings: Settings
) -> FileReport:
    """Check one file as the user sees it; what cannot be read becomes the report's error."""
    try:
        content = workspace.files.read(path, limit=MAX_STATE_FILE_BYTES, prefer_editor=True)
        text = decoded(kind, content.data)
    except SidecarError as error:
        return FileReport(path, kind, Source(""), error=str(error))
    return diagnose(kind, path, text, project, settings)


def decoded(kind: Kind, data: bytes) -> str:
    """The text of a file's bytes; raises SidecarError E_INVALID for what is not UTF-8 text.

    A time log is read with replacement characters: rows appended in UTF-16 by a shell are common
    there, and a rule names them.
    """
    if kind is Kind.TIMING:
        return data.decode("utf-8", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"This is not UTF-8 text: byte {error.start} cannot be decoded."
        raise SidecarError(
            ErrorCode.INVALID, message, hint="Save the file as UTF-8 and check it again."
        ) from error


def diagnose_workspace(
    workspace: Workspace, settings: Settings, now: datetime, kinds: Iterable[Kind] = tuple(Kind)
) -> list[FileReport]:
    """Check every file of the workspace that exists, in the order of kinds."""
    project = load_project(workspace, settings, now)
    paths = [(kind, workspace.path(kind, settings.product)) for kind in kinds]
    return [
        diagnose_path(workspace, kind, path, project, settings)
        for kind, path in paths
        if workspace.holds(path)
    ]
