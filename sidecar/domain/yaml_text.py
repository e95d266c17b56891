"""From the source of a YAML scalar to its text: folding, escapes, block indentation."""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE_BREAK = re.compile(r"[ \t]*\r?\n")
ESCAPE = re.compile(
    r"\\(?:x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<c>.))",
    re.DOTALL,
)
ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
    "v": "\v", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029", " ": " ", '"': '"',
    "/": "/", "\\": "\\", "\t": "\t",
}  # fmt: skip
LAST_CODE_POINT = 0x10FFFF


def fold(source: str) -> str:
    """The text of a plain or single-quoted scalar: one line end is a space, n are n - 1."""
    if "\n" not in source:
        return source
    first, *rest = LINE_BREAK.split(source)
    result, separator = first, " "
    for line in (line.lstrip(" \t") for line in rest[:-1]):
        if not line:
            if separator == "\n":
                result += "\n"
            separator = "\n"
        else:
            result += separator + line
            separator = " "
    return result + separator + rest[-1].lstrip(" \t")


@dataclass(frozen=True, slots=True)
class Unescaped:
    """A double-quoted scalar's text, and the offsets of the escapes that mean nothing."""

    text: str
    bad: tuple[int, ...]


def unescape(source: str) -> Unescaped:
    """The text between the double quotes of a scalar."""
    if "\\" not in source:
        return Unescaped(fold(source), ())
    parts: list[str] = []
    bad: list[int] = []
    kept: list[str] = []
    reached = 0
    for match in ESCAPE.finditer(source):
        text = _escaped(match)
        if text is None:
            bad.append(match.start())
            text = match[0]
        parts.append(source[reached : match.start()] + f"\\{len(kept)};")
        kept.append(text)
        reached = match.end()
        if text == "" and match[0][1] in "\r\n":
            reached = _line_joined(source, match.end())
    folded = fold("".join([*parts, source[reached:]]))
    text = re.sub(r"\\(\d+);", lambda match: kept[int(match[1])], folded)
    return Unescaped(_paired(text), tuple(bad))


def _line_joined(source: str, at: int) -> int:
    if source[at - 1] == "\r":
        at += 1
    while at < len(source) and source[at] in " \t":
        at += 1
    return at


def _escaped(match: re.Match[str]) -> str | None:
    digits = match["x"] or match["u"] or match["U"]
    if digits:
        code = int(digits, 16)
        return chr(code) if code <= LAST_CODE_POINT else None
    char = match["c"]
    if char == "\n" or (char == "\r" and match.string.startswith("\n", match.end())):
        return ""
    return ESCAPES.get(char)


def _paired(text: str) -> str:
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a block scalar: ``|`` or ``>``, indentation, chomping, validity."""

    folded: bool
    indent: int
    chomp: str
    valid: bool

    @classmethod
    def read(cls, source: str) -> Header:
        """Read ``|2-`` and the like."""
        indent, chomp, valid = 0, "", True
        for char in source[1:]:
            if char in "+-" and not chomp:
                chomp = char
            elif char in "123456789" and not indent:
                indent = int(char)
            else:
                valid = False
        return cls(source[0] == ">", indent, chomp, valid)


def block_text(lines: list[str], indent: int, header: Header) -> str:
    """The text of a block scalar from its lines, which come without line ends."""
    end = len(lines)
    while end and not lines[end - 1].strip(" ") and len(lines[end - 1]) <= indent:
        end -= 1
    bodies = [line[indent:] if line[:indent].strip(" ") == "" else line for line in lines]
    if not end:
        return "\n" * len(lines) if header.chomp == "+" else ""
    text = _folded(bodies[:end]) if header.folded else "\n".join(bodies[:end])
    if header.chomp == "-":
        return text
    return text + "\n" + ("\n" * (len(lines) - end) if header.chomp == "+" else "")


def _folded(lines: list[str]) -> str:
    result, blanks, first, previous_more = "", 0, True, False
    for line in lines:
        if not line:
            blanks += 1
            continue
        more = line[0] in " \t"
        if first:
            result += "\n" * blanks
        elif more or previous_more:
            result += "\n" * (blanks + 1)
        else:
            result += "\n" * blanks or " "
        result += line
        first, previous_more, blanks = False, more, 0
    return result + "\n" * blanks
