"""What the sidecar keeps inside a workspace: reports, logs and backups, from the first write on."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import paths, replacing, trouble
from sidecar.workspace.directories import Directory, Tree

_LIMIT = 256 * 1024 * 1024
SCHEMA_VERSION = 1
README = f"""# What lies here

This folder belongs to the sidecar (loop-orchestrator). Nothing in it is needed to open the
workspace, and nothing in it is ever executed.

| name | what | how much | may it be deleted? |
| --- | --- | --- | --- |
| `validation/` | runs of `run_validation` | the newest 20 | yes, when no run goes on |
| `runs/` | prompts, transcripts and outcomes of runs | the newest 100 | yes, when no run goes on |
| `reports/` | reports of validations asked for by hand | the last one | yes, at any time |
| `logs/` | the sidecar's log, JSON lines | 3 files of 1 MiB | yes, at any time |
| `backups/` | earlier contents of files, by SHA-256 | see below | yes, but they are lost then |

Of backups made automatically a file keeps the newest 50, for 90 days, its last one for ever; all
together take 512 MiB at most. Those that somebody asked for stay. Small ones (64 KiB) lie in the
index until there are many.

The index of backups, the journal of changes (5 files of 4 MiB), consents, locks and the execution
engine's records lie in the user's own state folder, so that a clone cannot bring prepared ones
along.
Schema version: {SCHEMA_VERSION}.
"""
_VERSION = re.compile(rb"^Schema version: (\d{1,6})\.", re.MULTILINE)
_FIRST = {"README.md": README.encode(), ".gitignore": b"*\n"}


@dataclass(frozen=True)
class State:
    """Files beneath the state folder, opened without following any link."""

    tree: Tree
    folder: str

    def path(self, name: str) -> Path:
        """The absolute path of a state file, for child processes; creates nothing."""
        return self.tree.root / self.folder / paths.clean(name)

    def _split(self, name: str) -> tuple[str, str]:
        folder, _, last = f"{self.folder}/{paths.clean(name)}".rpartition("/")
        return folder, last

    def write(self, name: str, data: bytes) -> Path:
        """Replace a state file atomically; the first write makes the folder and its README."""
        self.write_all({name: data})
        return self.path(name)

    def write_all(self, files: Mapping[str, bytes], *, durable: bool = True) -> None:
        """Replace several state files, each atomically; they wait for the disk together.

        Those that are not ``durable`` outlive this process, but not a power failure soon after.
        """
        if not self.begun:
            for first, text in _FIRST.items():
                self._replace_all({first: text}, durable=True)
        self._replace_all(files, durable=durable)

    @property
    def begun(self) -> bool:
        """Whether anything is kept here already; raises E_UNAVAILABLE for a newer version's."""
        try:
            page = self.read("README.md", limit=len(README) * 4)
        except SidecarError as error:
            if error.code is not ErrorCode.TOO_LARGE:
                return False
            page = b""
        found = _VERSION.search(page)
        if found and int(found[1]) > SCHEMA_VERSION:
            message = (
                f"`{self.folder}` was written by a newer sidecar (schema {int(found[1])}; this"
                f" one knows {SCHEMA_VERSION})."
            )
            hint = f"Update this sidecar, or move `{self.folder}` away."
            raise SidecarError(ErrorCode.UNAVAILABLE, message, hint=hint)
        return True

    def _replace_all(self, files: Mapping[str, bytes], *, durable: bool) -> None:
        places = {self._split(name): data for name, data in files.items()}
        try:
            with ExitStack() as stack:
                folders = {
                    folder: stack.enter_context(self.tree.directory(folder, create=True))
                    for folder in sorted({folder for folder, _ in places})
                }
                _put(
                    [(folders[folder], last, data) for (folder, last), data in places.items()],
                    durable=durable,
                )
                for directory in folders.values() if durable else ():
                    directory.sync()
        except OSError as error:
            raise trouble.explained(error, "/".join(next(iter(places)))) from error

    def append(self, name: str, data: bytes) -> None:
        """Add bytes at the end of a state file, not waiting for the disk: state can be lost."""
        folder, last = self._split(name)
        try:
            with (
                self.tree.directory(folder) as directory,
                replacing.appending(directory, last, [data]),
            ):
                return
        except FileNotFoundError:
            self.write(name, data)
        except replacing.OtherNamesError:
            self.write(name, self.read(name) + data)
        except OSError as error:
            raise trouble.explained(error, f"{folder}/{last}") from error

    def make(self, name: str) -> Path:
        """A folder of the state, created, for a child process to write into."""
        self.write(f"{name}/.keep", b"")
        return self.path(name)

    def read(self, name: str, *, limit: int = _LIMIT) -> bytes:
        """A state file's bytes; raises E_NOT_FOUND, E_TOO_LARGE."""
        shown = f"{self.folder}/{paths.clean(name)}"
        try:
            descriptor = self.tree.open(shown)
        except OSError as error:
            raise trouble.explained(error, shown) from error
        try:
            data = replacing.read_all(descriptor, limit)
        finally:
            os.close(descriptor)
        if len(data) > limit:
            raise trouble.too_large(shown, limit)
        return data

    def exists(self, name: str) -> bool:
        """Whether there is a state file of this name."""
        folder, last = self._split(name)
        try:
            with self.tree.directory(folder) as directory:
                return replacing.stamp_of(directory, last) is not None
        except OSError:
            return False

    def names(self, folder: str) -> list[str]:
        """What lies in a folder of the state, sorted; nothing where there is no such folder."""
        try:
            with self.tree.directory(f"{self.folder}/{paths.clean(folder)}") as directory:
                return sorted(directory.names())
        except OSError:
            return []

    def size(self, name: str) -> int:
        """The size of a state file in bytes, 0 where there is none."""
        folder, last = self._split(name)
        try:
            with self.tree.directory(folder) as directory:
                return directory.status(last).st_size
        except OSError:
            return 0

    def rename(self, name: str, other: str) -> None:
        """Give a state file another name in its folder, in place of what had it."""
        folder, last = self._split(name)
        try:
            with self.tree.directory(folder) as directory:
                directory.replace(last, self._split(other)[1])
        except OSError as error:
            raise trouble.explained(error, f"{folder}/{last}") from error

    def forget(self, name: str) -> None:
        """Delete a folder of the state with all that is in it; links are not followed."""
        folder, last = self._split(name)
        try:
            with self.tree.directory(folder) as directory:
                _emptied(directory, last)
        except OSError as error:
            raise trouble.explained(error, f"{folder}/{last}") from error

    def remove(self, name: str) -> None:
        """Delete a state file, if it is there."""
        folder, last = self._split(name)
        try:
            with self.tree.directory(folder) as directory:
                directory.remove(last)
        except FileNotFoundError:
            return
        except OSError as error:
            raise trouble.explained(error, f"{folder}/{last}") from error


def _put(files: Sequence[tuple[Directory, str, bytes]], *, durable: bool) -> None:
    """Rename new files to their names; what could not be renamed is removed."""
    temporaries = replacing.prepare_all(
        [(directory, data) for directory, _, data in files], durable=durable
    )
    pending = [
        (directory, each, name)
        for (directory, name, _), each in zip(files, temporaries, strict=True)
    ]
    try:
        while pending:
            directory, temporary, name = pending[0]
            directory.replace(temporary, name)
            del pending[0]
    finally:
        for directory, temporary, _ in pending:
            directory.remove(temporary)


def _emptied(directory: Directory, name: str) -> None:
    if not stat.S_ISDIR(directory.status(name).st_mode):
        directory.remove(name)
        return
    inner = directory.child(name)
    try:
        for each in inner.names():
            _emptied(inner, each)
    finally:
        inner.close()
    directory.remove_folder(name)
