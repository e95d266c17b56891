"""What tools say about a place in a file: read from the lines that linters and compilers print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MOST = 2000
Level = Literal["error", "warning", "note"]

_LINE = re.compile(
    r"^(?P<file>[^\s:][^:\n]*?\.\w+):(?P<line>\d+)(?::(?P<column>\d+))?:?[ ]"
    r"(?:(?P<level>error|warning|note|info):[ ])?(?P<message>\S.*)$",
    re.MULTILINE,
)
_FRONT_RULE = re.compile(r"^(?P<rule>[A-Za-z]{1,10}\d{1,6})[:\s]\s*(?:\[\*\]\s*)?")
_BACK_RULE = re.compile(r"\s+\[(?P<rule>[A-Za-z][\w./@-]*)\]$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark of a tool; ``line`` and ``column`` count from 1, None where it names none."""

    tool: str
    rule: str
    level: Level
    message: str
    file: str
    line: int | None = None
    column: int | None = None


def read(text: str, tool: str) -> Iterator[Finding]:
    """The remarks in what a tool printed as ``file:line:column: message``, at most 2,000."""
    for count, match in enumerate(_LINE.finditer(text)):
        if count == MOST:
            return
        rule, message = _rule(match["message"].strip())
        yield Finding(
            tool=tool,
            rule=rule or tool,
            level=_level(match["level"]),
            message=message,
            file=match["file"].replace("\\", "/"),
            line=int(match["line"]),
            column=int(match["column"]) if match["column"] else None,
        )


def _level(word: str | None) -> Level:
    if word in ("note", "info"):
        return "note"
    return "warning" if word == "warning" else "error"


def _rule(message: str) -> tuple[str, str]:
    """The rule's code, as ruff puts it in front and mypy behind, and the rest."""
    if front := _FRONT_RULE.match(message):
        return front["rule"], message[front.end() :]
    if back := _BACK_RULE.search(message):
        return back["rule"], message[: back.start()]
    return "", message
