"""Lenses: above schedules whose runs wait; above tests, for users who want them."""

from __future__ import annotations

import asyncio

from lsprotocol import types

from sidecar.domain.kind import Kind
from sidecar.lsp import offering
from sidecar.lsp.session import Session
from sidecar.lsp.validating import COMMAND
from sidecar.services import test_lenses
from sidecar.services.test_lenses import TestLens
from sidecar.workspace.layout import kind_of

OPTIONS = types.CodeLensOptions(resolve_provider=False)


async def of_document(session: Session, params: types.CodeLensParams) -> list[types.CodeLens]:
    """The lenses of an open file: of schedules, and of tests where the setting asks for them."""
    found = session.locate(params.text_document.uri)
    if not found:
        return []
    checker, path = found
    folder = checker.folder
    document = folder.document(path)
    if document is not None and kind_of(path) is Kind.SCHEDULES:
        offers = await asyncio.to_thread(offering.waiting, folder)
        return list(offering.lenses(path, document, offers))
    if document is None or not path.endswith(".py") or not folder.context.settings.test_lenses:
        return []
    await checker.current()
    text, results = document.source.text, folder.tests.results
    lenses = await asyncio.to_thread(test_lenses.lenses, path, text, results)
    last = len(document.source.line_starts) - 1
    return [_lens(each, last, document.uri) for each in folder.tests.steady(path, lenses)]


def _lens(lens: TestLens, last: int, uri: str) -> types.CodeLens:
    start = types.Position(min(lens.line, last), 0)
    if lens.keyword is None:
        # A command without a name is text that cannot be clicked.
        command = types.Command(lens.title, "")
    else:
        words = [uri, lens.keyword] if lens.keyword else [uri]
        command = types.Command(f"{lens.title} | run", COMMAND, arguments=words)
    return types.CodeLens(types.Range(start, start), command)


def can_refresh(client: types.ClientCapabilities) -> bool:
    """Whether a client can be asked to ask for lenses again."""
    support = client.workspace.code_lens if client.workspace else None
    return bool(support and support.refresh_support)
