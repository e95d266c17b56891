"""One client's session: its folders, and which of them a document belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pygls.uris import from_fs_path, to_fs_path

from sidecar.lsp import watching
from sidecar.lsp.checker import Checker
from sidecar.lsp.documents import Document
from sidecar.lsp.folder import FileView, Folder, View
from sidecar.lsp.publisher import Publisher
from sidecar.lsp.translate import Encoding
from sidecar.services.context import Context
from sidecar.workspace.changes import Subscription
from sidecar.workspace.layout import SETTINGS_FILES, checked_as, find_root, kind_of


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client said of itself when it opened folders."""

    client: str
    options: dict[str, Any]


OpenContext = Callable[[Path, Opening], Context]


class Session:
    """The folders of one client and the open documents in them."""

    def __init__(
        self,
        open_context: OpenContext,
        opening: Opening,
        units: Encoding,
        publisher: Publisher,
    ) -> None:
        self.publisher = publisher
        # Called when the results of another validation run are known.
        self.renewed: Callable[[], object] = lambda: None
        self._open_context = open_context
        self._opening = opening
        self._units = units
        self._checkers: dict[str, Checker] = {}
        self._watched: dict[str, Subscription] = {}
        self._failing: dict[str, Subscription] = {}
        self._started = False
        self._follow_files = False

    def __iter__(self) -> Iterator[Checker]:
        """The checkers of all folders."""
        return iter(list(self._checkers.values()))

    def follow_files(self) -> None:
        """Take the folder of whatever file is opened, for a client that opened no folder."""
        self._follow_files = True

    def add(self, uri: str) -> None:
        """Open a folder; an address that is no folder on this machine is passed over."""
        path = to_fs_path(uri)
        if path is None or not Path(path).is_dir():
            return
        root = Path(path)
        context = self._open_context(root, self._opening)
        folder = Folder(uri, root, context, self._units)
        self._checkers[uri] = Checker(folder, self.publisher.deliver, partial(self._settled, uri))
        if self._started:
            self._begin(uri)

    def start(self) -> None:
        """Check and watch every folder from now on."""
        self._started = True
        for uri in self._checkers:
            self._begin(uri)

    def _begin(self, uri: str) -> None:
        checker = self._checkers[uri]
        self._watched[uri] = watching.watch(checker.folder, partial(self._on_disk, checker))
        checker.touch()

    def _on_disk(self, checker: Checker, paths: frozenset[str]) -> None:
        """Hear which of a folder's files changed."""
        if not paths.isdisjoint(SETTINGS_FILES):
            self._reload(checker)
        if watching.reported(checker.folder) in paths:
            checker.folder.tests.outdated()
        for path in paths:
            checker.touch(path)

    def _settled(self, uri: str, checker: Checker) -> None:
        """Watch the files in which tests fail, once it is known which they are."""
        self.publisher.settled(checker)
        tests = checker.folder.tests
        if not tests.told():
            return
        if watched := self._failing.pop(uri, None):
            watched.close()
        if tests.files:
            changed = partial(self._on_disk, checker)
            self._failing[uri] = watching.watch(checker.folder, changed, sorted(tests.files))
        self.renewed()

    def remove(self, uri: str) -> None:
        """Forget a folder that the client closed, and what was found in it."""
        checker = self._checkers.pop(uri, None)
        if checker:
            for path in list(checker.folder.documents):
                checker.folder.release(path)
            checker.close()
        for watched in (self._watched.pop(uri, None), self._failing.pop(uri, None)):
            if watched:
                watched.close()

    def close(self) -> None:
        """Stop all work."""
        for uri in list(self._checkers):
            self.remove(uri)

    def reload(self) -> None:
        """Read all settings again and check everything under them."""
        for checker in self:
            self._reload(checker)

    def _reload(self, checker: Checker) -> None:
        folder = checker.folder
        folder.adopt(self._open_context(folder.root, self._opening))
        checker.touch()

    def find(self, uri: str) -> tuple[Checker, str] | None:
        """The checker and the path of a file of a known kind, None for any other file."""
        found = self.locate(uri)
        return found if found and checked_as(found[1]) is not None else None

    def locate(self, uri: str) -> tuple[Checker, str] | None:
        """The checker and the path of any file in a folder, None for one outside of all."""
        found = [(c, path) for c in self if (path := c.folder.path_of(uri)) is not None]
        if not found:
            return None
        # The innermost folder owns a file that lies in several.
        return min(found, key=lambda each: len(each[1]))

    def take(self, document: Document) -> None:
        """Let an open text speak for its file."""
        found = self.find(document.uri) or self._follow(document.uri)
        if found:
            checker, path = found
            checker.folder.take(path, document)
            checker.touch(path)
        elif located := self.locate(document.uri):
            checker, path = located
            checker.folder.others[path] = document
            checker.typed(path)

    def release(self, document: Document) -> None:
        """Let the disk speak for a file again."""
        if found := self.find(document.uri):
            checker, path = found
            checker.folder.release(path)
            checker.touch(path)
        elif located := self.locate(document.uri):
            checker, path = located
            checker.folder.others.pop(path, None)
            if path in checker.folder.tests.files:
                checker.touch(path)

    def changed(self, uris: Iterable[str]) -> None:
        """Hear from the client which files changed on disk."""
        for uri in uris:
            for checker in self:
                path = checker.folder.path_of(uri)
                if path and checked_as(path) is not None:
                    self._on_disk(checker, frozenset({path}))

    async def view(self, uri: str) -> tuple[Checker, View] | None:
        """What is known of a file now, None for a file that is not ours."""
        found = self.find(uri)
        if not found:
            return None
        checker, path = found
        view = (await checker.current()).get(path)
        return (checker, view) if isinstance(view, View) else None

    async def shown(self, uri: str) -> tuple[Checker, FileView] | None:
        """What the client is to show in a file now, ours or not; None where that is nothing."""
        found = self.locate(uri)
        if not found:
            return None
        checker, path = found
        view = (await checker.current()).get(path)
        document = checker.folder.others.get(path)
        if view is None and document:
            view = checker.folder.failing(path, document)
        return (checker, view) if view else None

    def _follow(self, uri: str) -> tuple[Checker, str] | None:
        path = to_fs_path(uri)
        if not self._follow_files or path is None or kind_of(Path(path).as_posix()) is None:
            return None
        self.add(from_fs_path(str(find_root(Path(path).parent, {}))) or "")
        return self.find(uri)
