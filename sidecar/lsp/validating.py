"""Tests that a person starts from the editor: shown as work under way, and stopped from there."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex
from typing import Any, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.lsp.checker import Checker
from sidecar.lsp.session import Session
from sidecar.services.calling import called
from sidecar.services.context import Context
from sidecar.services.validation import RunValidation, run_validation

logger = logging.getLogger(__name__)

COMMAND = "sidecar.validate"
LOOK_SECONDS = 0.5
ANSWER_SECONDS = 5.0


async def run(server: LanguageServer, session: Session, *words: Any) -> dict[str, Any] | None:
    """Run the tests of the file at an address, or those in it that a keyword selects.

    Trouble is told to the person, above all that nobody has trusted the workspace. The run goes on
    when the editor leaves meanwhile.
    """
    try:
        checker, path, keyword = _meant(session, words)
        result = await _Watched(server, checker, path).run(_arguments(path, keyword))
    except SidecarError as error:
        message = types.ShowMessageParams(types.MessageType.Error, str(error))
        server.window_show_message(message)
        return None
    return {"run_id": result.run_id, "status": result.status, "verdict": result.verdict}


def _meant(session: Session, words: tuple[Any, ...]) -> tuple[Checker, str, str]:
    if not words or not all(isinstance(word, str) for word in words[:2]):
        message = f"`{COMMAND}` needs the address of a file, and perhaps a keyword."
        raise SidecarError(ErrorCode.INVALID, message)
    found = session.locate(words[0])
    if found is None:
        raise SidecarError(ErrorCode.NOT_FOUND, "That file is in no folder that is open.")
    return *found, words[1] if len(words) > 1 else ""


def _arguments(path: str, keyword: str) -> dict[str, Any]:
    options = {"validation_options": {"keyword": keyword}} if keyword else {}
    return {"validation_type": "tests", "target_path": path, "wait_seconds": 0, **options}


def _told(result: RunValidation) -> str:
    counts = (f", {c.passed}/{c.passed + c.failed + c.errors} passed" for c in result.categories)
    return result.verdict + "".join(counts)


class _Watched:
    """One run with its progress in the editor, where that can show any."""

    def __init__(self, server: LanguageServer, checker: Checker, path: str) -> None:
        self._checker = checker
        self._path = path
        self._bar = _Bar(server, asyncio.get_running_loop())

    async def run(self, arguments: dict[str, Any]) -> RunValidation:
        """The result, however the run ends; raises SidecarError where none could be started."""
        result = await self._call(arguments)
        await self._bar.begin(f"Tests of {self._path}")
        told = "The run goes on without this editor."
        try:
            while result.status == "running":
                asked = {"run_id": result.run_id, "wait_seconds": LOOK_SECONDS}
                result = await self._call({**asked, "cancel": self._bar.cancelled})
            told = _told(result)
        finally:
            self._bar.end(told)
        self._checker.folder.tests.outdated()
        self._checker.touch()
        return result

    async def _call(self, arguments: dict[str, Any]) -> RunValidation:
        context: Context = replace(self._checker.folder.context, progress=self._bar.tell)
        answer = await asyncio.to_thread(called, run_validation, context, arguments)
        return cast("RunValidation", answer)


class _Bar:
    """Work-done progress that the server has asked for; nothing where a client shows none."""

    def __init__(self, server: LanguageServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._token = ""
        self._last = ""
        self._furthest = 0

    @property
    def cancelled(self) -> bool:
        """Whether the person wants the work to stop."""
        wish = self._server.work_done_progress.tokens.get(self._token)
        return bool(wish and wish.cancelled())

    async def begin(self, title: str) -> None:
        """Show it; a client that refuses, or does not answer, is left in peace."""
        window = self._server.client_capabilities.window
        if not (window and window.work_done_progress):
            return
        token = f"sidecar-{token_hex(8)}"
        progress = self._server.work_done_progress
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await progress.create_async(token)
        except (JsonRpcException, TimeoutError) as error:
            logger.warning("The editor shows no progress: %s", error)
            return
        self._token = token
        progress.begin(token, types.WorkDoneProgressBegin(title, cancellable=True, percentage=0))

    def tell(self, done: float, total: float | None, message: str) -> None:
        """Say how far it is, from any thread."""
        percentage = int(100 * done / total) if total else 0
        with suppress(RuntimeError):  # the loop is closed: the session is over
            self._loop.call_soon_threadsafe(self._report, message, percentage)

    def _report(self, message: str, percentage: int) -> None:
        if self._token and message != self._last:
            self._last = message
            self._furthest = max(self._furthest, percentage)
            value = types.WorkDoneProgressReport(message=message, percentage=self._furthest)
            self._server.work_done_progress.report(self._token, value)

    def end(self, message: str) -> None:
        """Take it away."""
        token, self._token = self._token, ""
        if token:
            progress = self._server.work_done_progress
            progress.end(token, types.WorkDoneProgressEnd(message=message))
            progress.tokens.pop(token, None)
