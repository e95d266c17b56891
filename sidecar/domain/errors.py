"""The one exception for expected trouble: a code, a sentence, and what to do."""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a request was refused; clients may act on these words."""

    NOT_FOUND = "E_NOT_FOUND"
    PATH_OUTSIDE = "E_PATH_OUTSIDE"
    PROTECTED = "E_PROTECTED"
    CONFLICT = "E_CONFLICT"
    INVALID = "E_INVALID"
    CORRUPT = "E_CORRUPT"
    TOO_LARGE = "E_TOO_LARGE"
    TIMEOUT = "E_TIMEOUT"
    BUSY = "E_BUSY"
    LIMIT = "E_LIMIT"
    UNTRUSTED = "E_UNTRUSTED"
    BLOCKED = "E_BLOCKED"
    CANCELLED = "E_CANCELLED"
    IO = "E_IO"
    UNAVAILABLE = "E_UNAVAILABLE"


class SidecarError(Exception):
    """Expected trouble; its texts may reach a model, so they never hold an absolute path."""

    def __init__(self, code: ErrorCode, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The sentence, followed by the hint where there is one."""
        return f"{self.message} {self.hint}".strip()
