"""Runs that wait for an agent: lenses above their schedules, to have one taken or skipped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from sidecar.domain import schedules
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.lsp.documents import Document
from sidecar.lsp.folder import Folder
from sidecar.lsp.session import Session
from sidecar.services.offers import Offer, offers, skip
from sidecar.workspace.layout import kind_of

logger = logging.getLogger(__name__)

TELL, SKIP = "sidecar.tellOffer", "sidecar.skipOffer"
LOOK_SECONDS = 5.0


def lenses(path: str, document: Document, found: list[Offer]) -> Iterator[types.CodeLens]:
    """Two lenses above each schedule of which a run waits."""
    by_schedule = {each.schedule_id: each for each in reversed(found)}
    file = schedules.parse(document.source.text, path=path)
    for schedule in file.schedules:
        offer = by_schedule.get(schedule.id)
        if offer is None:
            continue
        line = document.source.position(schedule.span.start).line
        start = types.Position(line, 0)
        words = [document.uri, offer.task_id]
        title = f"waits for an agent since {offer.since}: how to give it to one"
        for each, command in ((title, TELL), ("skip this run", SKIP)):
            clicked = types.Command(each, command, arguments=words)
            yield types.CodeLens(types.Range(start, start), clicked)


def waiting(folder: Folder) -> list[Offer]:
    """The offers in a folder; none where they cannot be told."""
    try:
        return offers(folder.context)
    except SidecarError as error:
        logger.warning("Waiting runs cannot be told: %s", error)
        return []


async def follow(session: Session) -> None:
    """Have the client ask for lenses again when runs begin or cease to wait, while it shows any."""
    known: dict[str, list[Offer]] = {}
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        shown = [each.folder for each in session if _shows_schedules(each.folder)]
        found = {each.uri: await asyncio.to_thread(waiting, each) for each in shown}
        if any(known.get(uri, []) != each for uri, each in found.items()):
            session.renewed()
        known = found


def _shows_schedules(folder: Folder) -> bool:
    return any(kind_of(path) is Kind.SCHEDULES for path in list(folder.documents))


async def tell(server: LanguageServer, session: Session, *words: Any) -> None:
    """Tell the person how an agent takes the run."""
    try:
        folder, task_id = _meant(session, words)
        found = await asyncio.to_thread(waiting, folder)
        offer = next((each for each in found if each.task_id == task_id), None)
        told = f"Tell your agent to call {offer.claim}." if offer else "It waits no longer."
        _show(server, types.MessageType.Info, told)
    except SidecarError as error:
        _show(server, types.MessageType.Error, str(error))


async def skip_offer(server: LanguageServer, session: Session, *words: Any) -> None:
    """Skip the run, and take its lenses away."""
    try:
        folder, task_id = _meant(session, words)
        await asyncio.to_thread(skip, folder.context, task_id)
    except SidecarError as error:
        _show(server, types.MessageType.Error, str(error))
    session.renewed()


def _meant(session: Session, words: tuple[Any, ...]) -> tuple[Folder, str]:
    if len(words) != 2 or not all(isinstance(word, str) for word in words):
        raise SidecarError(ErrorCode.INVALID, "This needs the address of a file, and a task's id.")
    found = session.locate(words[0])
    if found is None:
        raise SidecarError(ErrorCode.NOT_FOUND, "That file is in no folder that is open.")
    return found[0].folder, words[1]


def _show(server: LanguageServer, kind: types.MessageType, text: str) -> None:
    server.window_show_message(types.ShowMessageParams(kind, text))
