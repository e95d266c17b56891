"""One workspace: its root, its files, its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.workspace import directories, layout, paths
from sidecar.workspace.backups import Backups
from sidecar.workspace.changes import Changes
from sidecar.workspace.files import Files
from sidecar.workspace.journal import Journal
from sidecar.workspace.locking import Locks
from sidecar.workspace.overlays import Overlays
from sidecar.workspace.state import State
from sidecar.workspace.store import Store
from sidecar.workspace.user_dirs import UserDirs


@dataclass(frozen=True)
class Workspace:
    """A folder in which agents work, opened; opening creates nothing anywhere."""

    root: Path
    files: Files
    backups: Backups
    journal: Journal
    overlays: Overlays
    changes: Changes
    store: Store
    state: State
    user: UserDirs

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        state_dir: str = ".sidecar",
        protected: Sequence[str] = (),
        user_dir: Path | None = None,
    ) -> Workspace:
        """The workspace at a folder; ``user_dir`` stands in for all the user's own folders.

        Raises E_NOT_FOUND where there is no folder.
        """
        if not root.is_dir():
            message = "The workspace's folder does not exist."
            raise SidecarError(ErrorCode.NOT_FOUND, message, hint="Name one with --workspace.")
        root = root.resolve()
        state_dir = paths.clean(state_dir) or ".sidecar"
        user = UserDirs.locate(home=user_dir)
        tree = directories.Tree(root, fast=directories.has_openat2())
        state = State(tree, state_dir)
        private = cache(lambda: user.workspace_state(root))
        store = Store(lambda: private() / "records.sqlite")
        locks = Locks(lambda: private() / "locks")
        journal = Journal(private, locks)
        backups = Backups(state, store)
        overlays = Overlays()
        policy = paths.Policy(state_dir, tuple(protected))
        files = Files(tree, policy, locks, backups, journal, overlays)
        changes = Changes(tree, overlays)
        return cls(root, files, backups, journal, overlays, changes, store, state, user)

    def path(self, kind: Kind, product: str = "roo") -> str:
        """The workspace-relative path of a kind's file: the one that exists, else the default."""
        found = layout.candidates(kind, product)
        return next((path for path in found if self.holds(path)), found[0])

    def holds(self, path: str) -> bool:
        """Whether something has this name; a link that leads outside has, and reading it tells."""
        try:
            return self.files.exists(path)
        except SidecarError:
            return True

    def close(self) -> None:
        """Tell nobody of changes any more and release the database; it can still be used."""
        self.changes.close()
        self.store.close()
