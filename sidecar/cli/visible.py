"""Text of the workspace on a terminal: what would steer the terminal is shown instead of obeyed."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

# C0 and C1 controls but tab and newline, and the marks that turn the direction of writing.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with each such character as ``<U+001B>``; lines stay lines."""
    return _STEERING.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)


def one_line(text: str) -> str:
    """The same on a single line."""
    return visible(text.replace("\r\n", " ").replace("\n", " "))


def cells(text: str) -> str:
    """The same with one cell for each character, so that what stands below stays below."""
    return _STEERING.sub("\ufffd", text.replace("\t", " "))


def as_json(value: dict[str, Any]) -> str:
    """JSON that stdout can take: with the characters themselves where it speaks UTF-8."""
    escaped = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return json.dumps(value, indent=2, ensure_ascii=escaped)
