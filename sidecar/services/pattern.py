"""A caller's search pattern, compiled by an engine whose time is linear in the text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sidecar.domain.errors import ErrorCode, SidecarError

MAX_PATTERN = 10_000
# Instructions; beyond, RE2 leaves its automaton's cache and reads less than 100 kB a second.
MAX_PROGRAM = 10_000
_LITTLE_MEMORY, _MEMORY = 1 << 20, 8 << 20


class Match(Protocol):
    """One place where a pattern applies; offsets are code points."""

    def span(self) -> tuple[int, int]:
        """Where the match starts and ends."""


class Pattern(Protocol):
    """A compiled pattern; every method takes time linear in the text."""

    def search(self, text: str) -> Match | None:
        """The first match, if any."""

    def finditer(self, text: str) -> Iterator[Match]:
        """All matches that do not overlap, in order."""


def compile_pattern(
    pattern: str, *, literal: bool = False, case_sensitive: bool = False
) -> Pattern:
    """The pattern ready to search with; raises SidecarError (E_INVALID) with a sentence.

    The syntax is RE2's: no back-references and no look-around, hence no pattern that hangs.
    """
    if not pattern:
        raise _refused("The pattern is empty.")
    if len(pattern) > MAX_PATTERN:
        raise _refused(f"The pattern has {len(pattern)} characters; {MAX_PATTERN} are allowed.")
    import re2  # noqa: PLC0415 - two megabytes that a session without a search never needs

    options = re2.Options()
    options.log_errors = False
    # Hundreds of groups take RE2 seconds to follow on a text of 20 kB; nobody asks for them.
    options.never_capture = True
    options.literal = literal
    options.case_sensitive = case_sensitive
    try:
        # In little memory first: RE2 sees soon that a pattern is too large, where with all of it
        # the interpreter waits for it, and every other call with it.
        options.max_mem = _LITTLE_MEMORY
        size = re2.compile(pattern, options).programsize
        options.max_mem = _MEMORY
        compiled: Pattern = re2.compile(pattern, options)
    except re2.error as error:
        raise _refused(
            f"The pattern is not a valid regular expression: {_reason(error)}."
        ) from None
    except UnicodeEncodeError:
        raise _refused("The pattern holds half a character (a lone surrogate).") from None
    if size > MAX_PROGRAM:
        raise _refused("The pattern is too complex: its repetitions multiply.")
    return compiled


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "unknown reason"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _refused(sentence: str) -> SidecarError:
    hint = (
        "Use RE2 syntax (no look-around, no back-references), or escape special characters with a "
        "backslash to find them literally."
    )
    return SidecarError(ErrorCode.INVALID, sentence, hint=hint)
