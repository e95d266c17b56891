"""Diagnostics for clients that ask: of one document, and of the whole workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import unquote

from lsprotocol import types

from sidecar.lsp.folder import FileView
from sidecar.lsp.publisher import Pull
from sidecar.lsp.session import Session

# A client asks again as soon as it is answered, so the answer waits until there is news.
HOLD_SECONDS = 20.0

DocumentReport = (
    types.RelatedFullDocumentDiagnosticReport | types.RelatedUnchangedDocumentDiagnosticReport
)
WorkspaceReport = (
    types.WorkspaceFullDocumentDiagnosticReport | types.WorkspaceUnchangedDocumentDiagnosticReport
)


async def of_document(
    session: Session, publisher: Pull, params: types.DocumentDiagnosticParams
) -> DocumentReport:
    """What is wrong in one document now; in a file that is not ours, tests that failed."""
    found = await session.shown(params.text_document.uri)
    if not found:
        return types.RelatedFullDocumentDiagnosticReport(items=[])
    view = found[1]
    publisher.answered(view)
    if params.previous_result_id == view.result_id:
        return types.RelatedUnchangedDocumentDiagnosticReport(result_id=view.result_id)
    return types.RelatedFullDocumentDiagnosticReport(view.items, result_id=view.result_id)


async def of_workspace(
    session: Session, params: types.WorkspaceDiagnosticParams
) -> types.WorkspaceDiagnosticReport:
    """What is wrong in all folders; without news since the last answer it waits for some."""
    known = {unquote(each.uri): each.value for each in params.previous_result_ids}
    reports = _reports(await _views(session), known)
    if known and not any(map(_is_news, reports)):
        await _news(session)
        reports = _reports(await _views(session), known)
    return types.WorkspaceDiagnosticReport(reports)


async def _views(session: Session) -> list[FileView]:
    return [view for checker in session for view in (await checker.current()).values()]


async def _news(session: Session) -> None:
    """Return when some folder has been checked again, or after a while."""
    runs = [checker.next_run() for checker in session] or [asyncio.sleep(HOLD_SECONDS)]
    waiting = [asyncio.ensure_future(run) for run in runs]
    try:
        await asyncio.wait(waiting, timeout=HOLD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


def _reports(views: Iterable[FileView], known: dict[str, str]) -> list[WorkspaceReport]:
    reports: list[WorkspaceReport] = []
    left = dict(known)
    for view in views:
        if left.pop(unquote(view.uri), None) == view.result_id:
            same = types.WorkspaceUnchangedDocumentDiagnosticReport(
                view.uri, view.result_id, view.version
            )
            reports.append(same)
        else:
            full = types.WorkspaceFullDocumentDiagnosticReport(
                view.uri, view.items, view.version, result_id=view.result_id
            )
            reports.append(full)
    empty = types.WorkspaceFullDocumentDiagnosticReport
    return [*reports, *(empty(uri, [], result_id="") for uri, value in left.items() if value)]


def _is_news(report: WorkspaceReport) -> bool:
    return isinstance(report, types.WorkspaceFullDocumentDiagnosticReport)
