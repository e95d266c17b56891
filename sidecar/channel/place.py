"""Where a workspace's sidecar is found: its lock, its socket or address, and its log.

All lie on the user's side, nothing in the workspace: a socket's name may have 108 bytes, a
workspace may be read-only, and a clone must not bring a socket along. The lock's file is never
removed, so that a lock held on it is the truth; whatever else lies here may be removed at any time.
"""

from __future__ import annotations

import os
import stat
import sys
from binascii import crc32
from collections.abc import Mapping
from typing import NamedTuple

APPLICATION = "loop-orchestrator"
# Linux takes 108 bytes with the final zero, macOS 104.
MOST_SOCKET_BYTES = 100


class Place(NamedTuple):
    """One workspace's folder on the user's side, and the workspace."""

    root: str
    folder: str

    @property
    def lock(self) -> str:
        """The file whose lock the sidecar holds while it lives."""
        return f"{self.folder}/lock"

    @property
    def socket(self) -> str:
        """The socket's address."""
        return f"{self.folder}/socket"

    @property
    def address(self) -> str:
        """The file with the address and the token of a sidecar that listens by TCP."""
        return f"{self.folder}/address"

    @property
    def log(self) -> str:
        """Where a sidecar without a terminal writes."""
        return f"{self.folder}/sidecar.log"


def place_of(root: str, environ: Mapping[str, str] = os.environ) -> Place:
    """The place of the workspace at a folder; creates nothing, raises OSError without the folder.

    A folder that was moved, or deleted and made anew, is another workspace.
    """
    real = os.path.realpath(root)
    found = os.stat(real)  # noqa: PTH116 - pathlib would cost every client its import
    key = f"{found.st_dev:x}-{found.st_ino:x}-{crc32(os.fsencode(real)):08x}"
    folder = f"{runtime_folder(environ)}/{key}"
    too_long = len(os.fsencode(folder)) + len("/socket") > MOST_SOCKET_BYTES
    if too_long and sys.platform != "win32":
        folder = f"{_in_local(environ)}/{crc32(os.fsencode(folder)):08x}-{key}"
    return Place(real, folder)


def prepare(place: Place) -> None:
    """Create the folder, for its owner alone; raises OSError where it is somebody else's."""
    parent = os.path.dirname(place.folder)  # noqa: PTH120
    os.makedirs(parent, mode=0o700, exist_ok=True)  # noqa: PTH103
    for folder in (parent, place.folder):
        try:
            os.mkdir(folder, 0o700)  # noqa: PTH102
        except FileExistsError:
            found = os.lstat(folder)
            if not stat.S_ISDIR(found.st_mode) or not is_own(found):
                message = "the sidecar's runtime folder belongs to somebody else"
                raise PermissionError(1, message, folder) from None


def is_own(found: os.stat_result) -> bool:
    """Whether a file belongs to the user; on Windows the folder of the user vouches for it."""
    return sys.platform == "win32" or found.st_uid == os.getuid()


def runtime_folder(environ: Mapping[str, str] = os.environ) -> str:
    """The user's folder of what lives as long as processes do."""
    if environ.get("SIDECAR_HOME"):
        return os.path.abspath(environ["SIDECAR_HOME"]) + "/run"  # noqa: PTH100
    if environ.get("XDG_RUNTIME_DIR"):
        return f"{environ['XDG_RUNTIME_DIR']}/{APPLICATION}"
    if sys.platform == "darwin":
        return f"{environ.get('HOME', '')}/Library/Caches/TemporaryItems/{APPLICATION}"
    return _in_local(environ)


def _in_local(environ: Mapping[str, str]) -> str:
    if sys.platform == "win32":
        # What lies there only its user can read; folders for temporary files are swept.
        return f"{environ.get('LOCALAPPDATA') or os.path.expanduser('~')}/{APPLICATION}/run"  # noqa: PTH111
    return f"{environ.get('TMPDIR', '').rstrip('/') or '/tmp'}/{APPLICATION}-{os.getuid()}"  # noqa: S108 - its owner and mode are checked
