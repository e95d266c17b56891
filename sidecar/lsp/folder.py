"""One workspace folder as the client knows it: addresses, open texts, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from hashlib import sha256
from os.path import realpath
from pathlib import Path
from urllib.parse import quote

from lsprotocol import types
from pygls.uris import to_fs_path

from sidecar.domain.kind import Checked, Kind, Other
from sidecar.domain.project import Project
from sidecar.lsp.documents import Document
from sidecar.lsp.testing import Tests
from sidecar.lsp.translate import Encoding, to_diagnostic
from sidecar.services.context import Context
from sidecar.services.diagnosis import FileReport, diagnose, diagnose_path
from sidecar.services.project import load_project
from sidecar.settings import Settings
from sidecar.workspace.layout import SETTINGS_FILES, checked_as


@dataclass(frozen=True, slots=True)
class FileView:
    """What is known of one file at one moment.

    ``document`` is the open text that was looked at, None for a file that is not open.
    ``result_id`` is a hash of the content: a version repeats when an editor opens a file anew.
    """

    uri: str
    path: str
    document: Document | None
    items: tuple[types.Diagnostic, ...]
    result_id: str

    @property
    def version(self) -> int | None:
        """The editor's version of the text that was checked."""
        return self.document.version if self.document else None


@dataclass(frozen=True, slots=True)
class View(FileView):
    """What one of the files that the sidecar reads looked like when it was checked."""

    report: FileReport


@dataclass(frozen=True, slots=True)
class Moment:
    """A folder at one instant: all its models, the settings in force, the open documents."""

    project: Project
    settings: Settings
    documents: dict[str, Document]


@dataclass
class Folder:
    """A folder that the client opened, with the workspace behind it."""

    uri: str
    root: Path
    context: Context
    units: Encoding
    documents: dict[str, Document] = field(default_factory=dict)
    others: dict[str, Document] = field(default_factory=dict)
    tests: Tests = field(default_factory=Tests)

    def path_of(self, uri: str) -> str | None:
        """The workspace-relative path of an address, None for one outside of this folder."""
        path = to_fs_path(uri)
        if path is None:
            return None
        there, root = Path(path), self.root
        if not there.is_relative_to(root):
            # Either side may name the folder through a link.
            there, root = Path(realpath(path)), Path(realpath(root))
        return there.relative_to(root).as_posix() if there.is_relative_to(root) else None

    def uri_of(self, path: str) -> str:
        """The address of a path: the client's own spelling where it has the file open."""
        document = self.document(path)
        return document.uri if document else f"{self.uri.rstrip('/')}/{quote(path)}"

    def document(self, path: str) -> Document | None:
        """The open text of a path, of whatever kind the file is."""
        return self.documents.get(path) or self.others.get(path)

    def take(self, path: str, document: Document) -> None:
        """Let a text that is open in the editor speak for its file."""
        self.documents[path] = document
        overlays = self.context.workspace.overlays
        overlays.put(path, document.source.text, document.version, owner=id(self))

    def release(self, path: str) -> None:
        """Let the disk speak for a file again."""
        self.documents.pop(path, None)
        self.context.workspace.overlays.remove(path, owner=id(self))

    def adopt(self, context: Context) -> None:
        """Take new settings and keep everything else."""
        self.context = replace(self.context, settings=context.settings)

    def moment(self) -> Moment:
        """Everything as it is now; what is checked against it fits together."""
        context = self.context
        project = load_project(context.workspace, context.settings, context.clock())
        return Moment(project, context.settings, dict(self.documents))

    def view(self, moment: Moment, kind: Checked, path: str) -> View | None:
        """What is wrong in one file, None where it is neither open nor there."""
        workspace = self.context.workspace
        document = moment.documents.get(path)
        project, settings = moment.project, moment.settings
        if document is not None:
            report = diagnose(kind, path, document.source.text, project, settings)
        elif workspace.holds(path):
            report = diagnose_path(workspace, kind, path, project, settings)
        else:
            return None
        return self._view(report, document)

    def files(self, first: Collection[str] = ()) -> list[tuple[str, Checked]]:
        """The paths to check with their kinds: the workspace's own, and whatever is open.

        Those named ``first`` come before the others.
        """
        workspace, settings = self.context.workspace, self.context.settings
        found: dict[str, Checked] = {workspace.path(kind, settings.product): kind for kind in Kind}
        found |= dict.fromkeys(SETTINGS_FILES, Other.SETTINGS)
        for path in list(self.documents):
            kind = checked_as(path)
            if kind is not None:
                found[path] = kind
        return sorted(found.items(), key=lambda item: item[0] not in first)

    def _view(self, report: FileReport, document: Document | None) -> View:
        items = [to_diagnostic(report.source, f, self.units) for f in report.findings]
        if report.error:
            items.append(unreadable(report.error))
        content = repr((report.findings, report.error, self.units)) + report.source.text
        digest = sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
        uri = document.uri if document else self.uri_of(report.path)
        return View(uri, report.path, document, tuple(items), digest, report)

    def failing(self, path: str, document: Document | None) -> FileView | None:
        """Which tests failed in a file that is none of ours, None where none does."""
        items = self.tests.diagnostics(self.context.workspace, path, document, self.units)
        if items is None:
            return None
        digest = sha256(repr(items).encode("utf-8", "surrogatepass")).hexdigest()
        uri = document.uri if document else self.uri_of(path)
        return FileView(uri, path, document, items, digest)


def unreadable(error: str) -> types.Diagnostic:
    """Why a file could not be checked, at its first character."""
    start = types.Position(0, 0)
    return types.Diagnostic(
        types.Range(start, start), error, types.DiagnosticSeverity.Error, source="sidecar"
    )
