"""Check a file, check the workspace: editor, shell and tools all ask here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sidecar.domain import toml
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.finding import Finding, Severity
from sidecar.domain.kind import Checked, Kind, Other
from sidecar.domain.modes import ModesFile
from sidecar.domain.project import File, Project, parse_file
from sidecar.domain.schedules import SchedulesFile, outcome
from sidecar.domain.settings import Cause, SettingsFile, Untaken
from sidecar.domain.source import Position, Source, Span
from sidecar.rules import registry
from sidecar.services.project import MAX_STATE_FILE_BYTES, load_project
from sidecar.settings import SettingProblem, Settings, problems_in
from sidecar.workspace.layout import SETTINGS_FILES
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
    kind: Checked
    source: Source
    product: ProductVerdict | None = None
    findings: tuple[Finding, ...] = ()
    error: str = ""

    def count(self, severity: Severity) -> int:
        """How many findings have exactly this severity."""
        return sum(finding.severity is severity for finding in self.findings)


def diagnose(
    kind: Checked, path: str, text: str, project: Project, settings: Settings
) -> FileReport:
    """Check one text, taken as the project's file of its kind; never raises."""
    if isinstance(kind, Kind):
        file = parse_file(kind, text, path=path, product=project.product)
        verdict = verdict_of(file, project)
        found = registry.check(kind, file, project.having(file))
        source = file.source
    else:
        own = settings_file(path, text)
        verdict, found, source = None, registry.check(kind, own, project), own.source
    findings = tuple(finding for finding in found if finding.code not in settings.ignore)
    return FileReport(path, kind, source, verdict, findings)


# Beside each text that is typed, these are looked at again.
@lru_cache(maxsize=8)
def settings_file(path: str, text: str) -> SettingsFile:
    """The model of a workspace's settings file; one that does not speak of us says nothing."""
    source = Source(text)
    if path != "sidecar.toml" and "sidecar" not in text:
        return SettingsFile(path, source)
    problems = problems_in(path, text)
    places = toml.key_places(text)
    return SettingsFile(path, source, tuple(_untaken(each, source, places) for each in problems))


def _untaken(problem: SettingProblem, source: Source, places: dict[toml.Key, Span]) -> Untaken:
    span = _span(problem, source, places)
    # A key of an inline table has the place of the table, which is not to be replaced.
    meant = problem.meant if source.slice(span) == problem.name else ""
    return Untaken(problem.cause, problem.message, span, meant)


def _span(problem: SettingProblem, source: Source, places: dict[toml.Key, Span]) -> Span:
    if problem.cause is not Cause.SYNTAX:
        return toml.place(places, problem.key)
    if problem.at is None:
        return Span(len(source.text), len(source.text))
    line, column = problem.at
    start = source.offset(Position(line - 1, column - 1))
    return Span(start, min(start + 1, len(source.text)))


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
    workspace: Workspace, kind: Checked, path: str, project: Project, settings: Settings
) -> FileReport:
    """Check one file as the user sees it; what cannot be read becomes the report's error."""
    try:
        content = workspace.files.read(path, limit=MAX_STATE_FILE_BYTES, prefer_editor=True)
        text = decoded(kind, content.data)
    except SidecarError as error:
        return FileReport(path, kind, Source(""), error=str(error))
    return diagnose(kind, path, text, project, settings)


def decoded(kind: Checked, data: bytes) -> str:
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
    workspace: Workspace,
    settings: Settings,
    now: datetime,
    kinds: Iterable[Checked] = (*Kind, *Other),
) -> list[FileReport]:
    """Check every file of the workspace that exists, in the order of kinds.

    Settings files are reported where something in them is wrong.
    """
    project = load_project(workspace, settings, now)
    paths = [(kind, path) for kind in kinds for path in _paths(workspace, kind, settings)]
    reports = (
        diagnose_path(workspace, kind, path, project, settings)
        for kind, path in paths
        if workspace.holds(path)
    )
    return [each for each in reports if isinstance(each.kind, Kind) or each.findings]


def _paths(workspace: Workspace, kind: Checked, settings: Settings) -> tuple[str, ...]:
    if isinstance(kind, Kind):
        return (workspace.path(kind, settings.product),)
    return SETTINGS_FILES
