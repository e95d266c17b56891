"""Which resources have changed: looked at while somebody wants to know, and not a moment longer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar, TypeVarTuple

import anyio.to_thread

from sidecar.domain.errors import SidecarError
from sidecar.mcp import resources
from sidecar.services.context import Context
from sidecar.workspace.changes import Subscription
from sidecar.workspace.layout import checked_as, checked_files

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0

Tell = Callable[[str], Awaitable[None]]
T = TypeVar("T")
Given = TypeVarTuple("Given")


async def _beside(work: Callable[[*Given], T], *given: *Given) -> T:
    """Run work beside the loop; nothing waits for it once the loop ends."""
    return await anyio.to_thread.run_sync(work, *given, abandon_on_cancel=True)


class Changes:
    """Tells the addresses of resources that have changed, to whoever holds one of them.

    Files are watched, with what is typed in them; records are looked at every second. Both begin
    with the first address that needs it and end with the last.
    """

    def __init__(self, make_context: Callable[[], Context], tell: Tell) -> None:
        self._make_context = make_context
        self._tell = tell
        self._held: Counter[str] = Counter()
        self._sources: dict[str, resources.Source] = {}
        self._versions: dict[str, str] = {}
        self._files: Subscription | None = None
        self._looking: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def watching(self) -> bool:
        """Whether anything is watched or looked at."""
        return self._files is not None or self._looking is not None

    def hold(self, uris: Iterable[str]) -> None:
        """Want to know of these addresses; those of no resource are ignored."""
        for uri in uris:
            source = resources.find(uri)
            if source is not None:
                self._sources[uri] = source
                self._held[uri] += 1

    def release(self, uris: Iterable[str]) -> None:
        """Want it no longer; to be called once for each ``hold``."""
        for uri in uris:
            self._held[uri] -= 1
            if self._held[uri] <= 0:
                for known in (self._held, self._sources, self._versions):
                    known.pop(uri, None)
        self._begin(self._adjust())

    async def ready(self) -> None:
        """Wait until every change from now on will be told."""
        # The caller may be cancelled; what has begun to start must still be known to us.
        await asyncio.shield(self._begin(self._adjust()))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _adjust(self) -> None:
        async with self._turn:
            of_files = any(source.kinds for source in self._sources.values())
            if of_files and self._files is None:
                self._files = await _beside(self._watch, asyncio.get_running_loop())
            elif self._files is not None and not of_files:
                ending, self._files = self._files, None
                await _beside(ending.close)
            new = [uri for uri in self._looked_at() if uri not in self._versions]
            if new:
                found = await _beside(self._look, new)
                self._versions |= {uri: word for uri, word in found.items() if uri in self._held}
            if self._looked_at() and self._looking is None:
                self._looking = asyncio.create_task(self._keep_looking())
            elif self._looking is not None and not self._looked_at():
                self._looking.cancel()
                self._looking = None

    def _looked_at(self) -> list[str]:
        return [uri for uri, source in self._sources.items() if source.version is not None]

    def _watch(self, loop: asyncio.AbstractEventLoop) -> Subscription:
        context = self._make_context()

        def changed(paths: frozenset[str]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                asyncio.run_coroutine_threadsafe(self._changed(paths), loop)

        paths = checked_files(context.settings.product)
        return context.workspace.changes.subscribe(paths, changed, prefer_editor=True)

    async def _changed(self, paths: frozenset[str]) -> None:
        kinds = {checked_as(path) for path in paths}
        for uri, source in list(self._sources.items()):
            if source.kinds & kinds:
                await self._tell(uri)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for uri, word in (await _beside(self._look, self._looked_at())).items():
                if uri in self._held and self._versions.get(uri) != word:
                    self._versions[uri] = word
                    await self._tell(uri)

    def _look(self, uris: Iterable[str]) -> dict[str, str]:
        """The versions of those that have one; a workspace that cannot be read has no news."""
        context = self._make_context()
        found = {}
        for uri in uris:
            source = self._sources.get(uri)
            if source is not None and source.version is not None:
                try:
                    found[uri] = source.version(context)
                except SidecarError as error:
                    log.debug("The version of %s cannot be told: %s", uri, error.code.value)
        return found
