"""Quick fixes at a place, and all safe fixes of a file at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from lsprotocol import types

from sidecar.domain.edit import Edit, difference
from sidecar.domain.finding import Finding, Fix
from sidecar.domain.source import Source, Span
from sidecar.lsp.folder import Folder, View
from sidecar.lsp.session import Session
from sidecar.lsp.translate import to_span, to_text_edits, to_workspace_edit
from sidecar.services.fixes import fixed
from sidecar.services.project import load_project

FIX_ALL = types.CodeActionKind.SourceFixAll
OPTIONS = types.CodeActionOptions(
    code_action_kinds=[types.CodeActionKind.QuickFix, FIX_ALL], resolve_provider=True
)


async def at(
    session: Session, params: types.CodeActionParams, client: types.ClientCapabilities
) -> list[types.CodeAction]:
    """What can be done about the findings in a range, of the kinds that the client wants."""
    found = await session.view(params.text_document.uri)
    if not found:
        return []
    checker, view = found
    actions: list[types.CodeAction] = []
    if _wanted(types.CodeActionKind.QuickFix, params.context):
        area = to_span(view.report.source, params.range, checker.folder.units)
        actions += _quick_fixes(checker.folder, view, area, client)
    if _wanted(FIX_ALL, params.context) and any(map(_safe_fix, view.report.findings)):
        action = types.CodeAction("Fix everything that is safe to fix", FIX_ALL)
        action.data = {"uri": view.uri}
        actions.append(action if _resolves(client) else await resolve(session, action, client))
    return actions


async def resolve(
    session: Session, action: types.CodeAction, client: types.ClientCapabilities
) -> types.CodeAction:
    """Work out the edits of ``source.fixAll``, which cost a check for each round of fixes."""
    uri = action.data.get("uri") if isinstance(action.data, dict) else None
    found = await session.view(uri) if isinstance(uri, str) else None
    if found:
        checker, view = found
        edits = await asyncio.to_thread(_all_fixes, checker.folder, view)
        action.edit = _workspace_edit(checker.folder, view, edits, client)
    return action


def _quick_fixes(
    folder: Folder, view: View, area: Span, client: types.ClientCapabilities
) -> Iterator[types.CodeAction]:
    for finding, diagnostic in zip(view.report.findings, view.items, strict=False):
        if not (finding.span.start <= area.end and area.start <= finding.span.end):
            continue
        for fix in finding.fixes:
            yield types.CodeAction(
                title=fix.title,
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[diagnostic],
                is_preferred=True if fix is _safe_fix(finding) else None,
                edit=_workspace_edit(folder, view, fix.edits, client),
            )


def _all_fixes(folder: Folder, view: View) -> list[Edit]:
    context, report = folder.context, view.report
    project = load_project(context.workspace, context.settings, context.clock())
    before = report.source.text
    after, _ = fixed(report.kind, report.path, before, project, context.settings)
    return difference(report.source, Source(after))


def _workspace_edit(
    folder: Folder, view: View, edits: Sequence[Edit], client: types.ClientCapabilities
) -> types.WorkspaceEdit:
    """Edits bound to the version that was checked, where the client can check that."""
    changes = to_text_edits(view.report.source, edits, folder.units)
    return to_workspace_edit(view.uri, view.version, changes, client)


def _safe_fix(finding: Finding) -> Fix | None:
    return next((fix for fix in finding.fixes if fix.safe), None)


def _wanted(kind: types.CodeActionKind, context: types.CodeActionContext) -> bool:
    """Whether a kind is one of those asked for, or below one; asking for none means all."""
    wanted = [str(getattr(only, "value", only)) for only in context.only or []]
    return not wanted or any(f"{kind.value}.".startswith(f"{only}.") for only in wanted)


def _resolves(client: types.ClientCapabilities) -> bool:
    actions = client.text_document.code_action if client.text_document else None
    support = actions.resolve_support if actions else None
    return bool(actions and actions.data_support and support and "edit" in support.properties)
