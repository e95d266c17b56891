"""One file's bytes at one moment, and what a change of them left."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import replacing, trouble
from sidecar.workspace.directories import Tree
from sidecar.workspace.overlays import Overlay
from sidecar.workspace.replacing import Stamp
from sidecar.workspace.store import Record

MAX_BYTES = 64 * 1024 * 1024
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Content:
    """One file's bytes at one moment; ``sha256`` is its etag, ``mode`` its permission bits."""

    path: str
    data: bytes
    sha256: str
    modified: datetime
    mode: int
    source: Literal["disk", "editor"] = "disk"

    @property
    def text(self) -> str:
        """The bytes as UTF-8; raises E_INVALID where they are none."""
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            message = f"`{self.path}` is not UTF-8 text: byte {error.start} does not fit."
            raise SidecarError(ErrorCode.INVALID, message) from None


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left: hashes are SHA-256; ``changed`` is false where nothing had to change."""

    path: str
    size: int
    sha256: str
    previous_sha256: str | None
    backup_id: str | None
    changed: bool


Change = Callable[[Content | None], bytes | None]


@dataclass
class Besides:
    """What has to be durable elsewhere before a change is, told anew by each try of the change.

    Pieces to be appended to other files, by their located paths, and records of the store. All
    changes that wait for one file share one wait for theirs.
    """

    appends: list[tuple[str, bytes]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    # The pieces that an earlier try has appended already.
    appended: set[tuple[str, bytes]] = field(default_factory=set)

    def missing(self) -> list[tuple[str, bytes]]:
        """The pieces that no try has appended yet."""
        return [piece for piece in self.appends if piece not in self.appended]


def of_editor(path: str, overlay: Overlay) -> Content:
    """What an editor shows as it would be saved."""
    data = overlay.text.encode("utf-8", "replace")
    return Content(path, data, sha256(data).hexdigest(), overlay.changed, 0o644, "editor")


def load(tree: Tree, path: str, limit: int) -> tuple[Content, os.stat_result]:
    """A file's content of one moment, and its status; raises OSError, E_TOO_LARGE."""
    for _ in range(_ATTEMPTS):
        descriptor = tree.open(path)
        try:
            before = os.fstat(descriptor)
            if before.st_size > limit:
                raise trouble.too_large(path, limit)
            data = replacing.read_all(descriptor, limit)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if len(data) > limit:
            raise trouble.too_large(path, limit)
        # A writer in place was at work: these bytes may be half old and half new.
        if Stamp.of(before) == Stamp.of(after):
            break
    modified = datetime.fromtimestamp(after.st_mtime, UTC)
    mode = stat.S_IMODE(after.st_mode)
    return Content(path, data, sha256(data).hexdigest(), modified, mode), after


def current(tree: Tree, path: str) -> tuple[Content | None, os.stat_result | None]:
    """The content and status of a file that need not exist."""
    try:
        return load(tree, path, MAX_BYTES)
    except FileNotFoundError:
        return None, None
