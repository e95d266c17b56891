"""The bearer token that HTTP clients send: one a user, on the user's side, mode 0600."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace.user_dirs import UserDirs, private


def token_file(dirs: UserDirs) -> Path:
    """Where the token lies; it may not exist yet."""
    return dirs.state / "token"


def current(dirs: UserDirs) -> str:
    """The token, made at the first use and stable from then on; raises E_IO."""
    file = token_file(dirs)
    with suppress(FileNotFoundError):
        return _read(file)
    with suppress(FileExistsError):  # another process was faster; its token counts
        _write(file, exclusive=True)
    return _read(file)


def rotate(dirs: UserDirs) -> str:
    """A new token; clients with the old one are refused from the next start on."""
    _write(token_file(dirs), exclusive=False)
    return current(dirs)


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise _unusable() from error
    if len(text) < 32:
        raise _unusable()
    return text


def _write(file: Path, *, exclusive: bool) -> None:
    private(file.parent)
    beside = file.with_name(f".token.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_urlsafe(32) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        if exclusive:
            os.link(beside, file)
            beside.unlink()
        else:
            beside.replace(file)
    except FileExistsError:
        beside.unlink()
        raise


def _unusable() -> SidecarError:
    return SidecarError(
        ErrorCode.IO,
        "The token of the sidecar cannot be read.",
        hint="Renew it by `sidecar token --rotate`.",
    )
