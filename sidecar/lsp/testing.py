"""What the last validation runs say of the tests in a folder, as its editor shows it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from lsprotocol import types

from sidecar.domain.errors import SidecarError
from sidecar.domain.source import Source
from sidecar.lsp.documents import Document
from sidecar.lsp.translate import NAME, Encoding, to_range
from sidecar.services import test_failures, test_results
from sidecar.services.context import Context
from sidecar.services.test_failures import Failure, Lines
from sidecar.services.test_lenses import TestLens
from sidecar.services.test_results import TestResults
from sidecar.workspace.workspace import Workspace

FILES = 500
FILE_BYTES = 4_000_000


class Tests:
    """The results of a folder's tests; read anew, off the loop, when a run has ended."""

    __test__ = False

    def __init__(self) -> None:
        self.results = TestResults()
        self._failures: dict[str, list[Failure]] = {}
        self._due = threading.Event()
        self._due.set()
        self._news = threading.Event()
        self._lenses: dict[str, list[TestLens]] = {}

    @property
    def files(self) -> Iterable[str]:
        """The files in which something failed."""
        return self._failures.keys()

    def outdated(self) -> None:
        """Say that another run has ended."""
        self._due.set()

    def renew(self, context: Context) -> bool:
        """Read the results if a run has ended since they were read; whether one has."""
        if not self._due.is_set():
            return False
        self._due.clear()
        results = test_results.latest(context)
        failures: dict[str, list[Failure]] = {}
        for failure in test_failures.failures(results):
            if failure.file in failures or len(failures) < FILES:
                failures.setdefault(failure.file, []).append(failure)
        # Whole new objects: the loop reads them meanwhile.
        self.results, self._failures = results, failures
        self._news.set()
        return True

    def told(self) -> bool:
        """Whether there are results that this has not said before."""
        news = self._news.is_set()
        self._news.clear()
        return news

    def steady(self, path: str, lenses: list[TestLens] | None) -> list[TestLens]:
        """A file's lenses, the last ones while its text is no Python: a line is being typed."""
        if lenses is not None:
            self._lenses[path] = lenses
        return self._lenses.get(path, [])

    def diagnostics(
        self, workspace: Workspace, path: str, document: Document | None, units: Encoding
    ) -> tuple[types.Diagnostic, ...] | None:
        """The failures in a file whose lines still stand there; None where there is no such file.

        A file in which nothing fails has none.
        """
        failures = self._failures.get(path, [])
        disk = None
        if document is None or not all(failure.quote for failure in failures):
            disk = _on_disk(workspace, path)
        if document is None and disk is None:
            return None
        source = document.source if document else Source(disk[0] if disk else "")
        lines = Lines(source)
        since = disk[1] if disk and disk[0] == source.text else None
        found = (
            _diagnostic(lines, failure, units, unchanged=bool(since and since <= failure.started))
            for failure in failures
        )
        return tuple(each for each in found if each)


def _on_disk(workspace: Workspace, path: str) -> tuple[str, float] | None:
    """A file's text and when it was changed; None where it cannot be had."""
    try:
        content = workspace.files.read(path, limit=FILE_BYTES)
        return content.text, content.modified.timestamp()
    except SidecarError:
        return None


def _diagnostic(
    lines: Lines, failure: Failure, units: Encoding, *, unchanged: bool
) -> types.Diagnostic | None:
    span = test_failures.place(failure, lines, unchanged=unchanged)
    if span is None:
        return None
    return types.Diagnostic(
        range=to_range(lines.source, span, units),
        message=failure.message,
        severity=types.DiagnosticSeverity.Error,
        code=failure.code,
        source=NAME,
    )
