"""The operating system's refusals, said in our words and without absolute paths."""

from __future__ import annotations

import errno

from sidecar.domain.errors import ErrorCode, SidecarError

_OUTSIDE = {errno.ELOOP, errno.EXDEV}
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "the permission is missing",
    errno.EPERM: "the permission is missing",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.EIO: "the disk reports an error",
    errno.EBUSY: "another program holds it",
    errno.EISDIR: "it is a folder",
}


def outside(path: str) -> SidecarError:
    """The refusal of a path that leads, or may lead, out of the workspace."""
    message = f"`{path}` leads outside the workspace."
    return SidecarError(
        ErrorCode.PATH_OUTSIDE, message, hint="Use a path relative to the workspace's root."
    )


def not_found(path: str) -> SidecarError:
    """The refusal of a path where nothing is."""
    return SidecarError(ErrorCode.NOT_FOUND, f"There is no `{path}` in the workspace.")


def not_regular(path: str, what: str) -> SidecarError:
    """The refusal of what is not a regular file."""
    message = f"`{path}` is {what}; only regular files can be used."
    return SidecarError(ErrorCode.INVALID, message)


def explained(error: OSError, path: str) -> SidecarError:
    """The SidecarError that tells a failed system call on a workspace path."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return not_found(path)
    if error.errno in _OUTSIDE:
        return outside(path)
    if error.errno == errno.ENAMETOOLONG:
        return SidecarError(ErrorCode.INVALID, "A name in the path is too long.")
    if error.errno in {errno.ENXIO, errno.ENODEV}:
        return not_regular(path, "a socket or a device")
    return SidecarError(ErrorCode.IO, f"`{path}` could not be used: {reason(error)}.")


def reason(error: OSError) -> str:
    """The cause of a failed system call, as the end of a sentence."""
    return _REASONS.get(error.errno or 0, "the operating system refuses it")


def too_large(path: str, limit: int) -> SidecarError:
    """The refusal of a file over the limit, in bytes."""
    message = f"`{path}` is larger than {limit:,} bytes."
    return SidecarError(ErrorCode.TOO_LARGE, message, hint="Read it in parts.")
