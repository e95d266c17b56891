"""The words of a JSON text, broken ones included: each with its span and what is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, SyntaxProblem
from sidecar.domain.source import Span

STRING, NUMBER, WORD, COMMENT, END = "string", "number", "word", "comment", "end"
LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
# What people write for a literal: Python's and JavaScript's words.
MEANT = {
    "True": "true",
    "TRUE": "true",
    "False": "false",
    "FALSE": "false",
    "None": "null",
    "NULL": "null",
    "Null": "null",
    "nil": "null",
    "undefined": "null",
}

# ECMA-404's tokens; possessive quantifiers keep an unclosed string linear.
_STRING = r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_TOKEN = re.compile(
    rf"""[ \t\r\n]*+(?:
    (?P<string>{_STRING})
  | (?P<mark>[{{}}\[\],:])
  | (?P<number>{_NUMBER})(?=[\s,:\]}}"\[{{/]|\Z)
  | (?P<broken>"(?:[^"\\\r\n]++|\\[^\r\n])*+\\?"?)
  | (?P<single>'(?:[^'\\\r\n]++|\\[^\r\n])*+')
  | (?P<comment>//[^\r\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?)
  | (?P<blank>[^\S \t\r\n]++|[\u200b-\u200d\ufeff]++)
  | (?P<word>/|[^\s{{}}\[\],:"/]++)
  )""",
    re.VERBOSE,
)
# One property that is neither broken nor an object or a list, and the mark after it.
PROPERTY = re.compile(
    rf"""[ \t\r\n]*+(?P<name>{_STRING})[ \t\r\n]*+:
    [ \t\r\n]*+(?P<value>{_STRING}|{_NUMBER}|true|false|null)[ \t\r\n]*+[,}}]""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_BAD_ESCAPE = re.compile(
    r"""\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|(\\.?)|([\x00-\x09\x0b\x0c\x0e-\x1f])""", re.DOTALL
)
_PAIR = re.compile("([\ud800-\udbff])([\udc00-\udfff])")
_LONE = re.compile("[\ud800-\udfff]")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_CONTROL = {"\t": r"\t", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r"}
# A text pasted with its line breaks ends at a quote that only a mark or a line's end follows.
_PASTED = re.compile(r'"(?:[^"\\]++|\\.)*+"(?=[ \t]*(?:[,}\]\r\n]|\Z))', re.DOTALL)
_BREAK = re.compile("[\r\n]")
# A text with more errors is no JSON; reading on would cost time and tell nothing new.
MAX_PROBLEMS = 1000
# More digits than a double's range; `int` would refuse still longer texts.
_LONGEST_INTEGER = 309


class Token(NamedTuple):
    """One word: a kind from this module's names, or the punctuation mark itself."""

    kind: str
    start: int
    end: int
    value: str | int | float | None = None

    @property
    def span(self) -> Span:
        """Where the word stands."""
        return Span(self.start, self.end)


def _unescape(match: re.Match[str]) -> str:
    name = match[1]
    if len(name) > 1:
        return chr(int(name[1:], 16))
    return _SHORT.get(name, name)


def _join_pair(match: re.Match[str]) -> str:
    high, low = ord(match[1]), ord(match[2])
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def decode(raw: str) -> str:
    """The value of a string's inside; half a surrogate pair becomes U+FFFD, as when encoded."""
    if "\\" not in raw:
        return raw
    text = _ESCAPE.sub(_unescape, raw)
    return _LONE.sub("�", _PAIR.sub(_join_pair, text)) if "\\u" in raw else text


def number(raw: str) -> int | float:
    """The value of a number as JSON writes it; beyond a double's range it is infinite."""
    if raw.lstrip("-").isdigit() and len(raw) <= _LONGEST_INTEGER:
        return int(raw)
    return float(raw)


def value_of(raw: str) -> str | int | float | bool | None:
    """The value of a sound scalar as JSON writes it."""
    if raw[0] == '"':
        return decode(raw[1:-1])
    return LITERALS[raw] if raw in LITERALS else number(raw)


def tokens(text: str, problems: list[SyntaxProblem], position: int = 0) -> Iterator[Token]:
    """Every word from a position on, then ``END``; what is wrong in a word is appended."""
    if not position and text.startswith("\ufeff"):
        position = 1
        problems.append(_byte_order_mark())
    while len(problems) < MAX_PROBLEMS and (match := _TOKEN.match(text, position)):
        kind = match.lastgroup or ""
        start, position = match.span(kind)
        raw = match[kind]
        if kind == "mark":
            yield Token(raw, start, position)
        elif kind == "string":
            yield Token(STRING, start, position, decode(raw[1:-1]))
        elif kind == "number":
            yield Token(NUMBER, start, position, number(raw))
        elif kind == "blank":
            problems.append(_blank(raw, start))
        elif kind == "broken":
            token = _broken_string(text, start, raw, problems)
            position = token.end
            yield token
        else:
            yield _other(kind, start, raw, problems)
    yield Token(END, len(text), len(text))


def _other(kind: str, start: int, raw: str, problems: list[SyntaxProblem]) -> Token:
    end = start + len(raw)
    if kind == "single":
        value = decode(raw[1:-1])
        problems.append(_single_quotes(raw, start))
        return Token(STRING, start, end, value)
    if kind == "comment" and raw.startswith("/*") and (len(raw) < 4 or not raw.endswith("*/")):
        message = "This comment never ends: `*/` is missing."
        problems.append(SyntaxProblem(Span(start, end), message, "unclosed-comment"))
    return Token(COMMENT if kind == "comment" else WORD, start, end, raw)


def _byte_order_mark() -> SyntaxProblem:
    span = Span(0, 1)
    fix = Fix("Remove the byte order mark", (Edit(span, ""),))
    message = "The file starts with an invisible byte order mark, which JSON.parse refuses."
    return SyntaxProblem(span, message, "bom", (fix,))


def _blank(raw: str, start: int) -> SyntaxProblem:
    span = Span(start, start + len(raw))
    name = f"U+{ord(raw[0]):04X}"
    fix = Fix("Replace it with a space", (Edit(span, " "),))
    message = (
        f"The invisible character {name} is not a space to JSON; only plain spaces may stand here."
    )
    return SyntaxProblem(span, message, "invisible-character", (fix,))


def _single_quotes(raw: str, start: int) -> SyntaxProblem:
    span = Span(start, start + len(raw))
    inside = raw[1:-1].replace("\\'", "'")
    body = re.sub(r'(?<!\\)"', '\\"', inside)
    fix = Fix("Use double quotes", (Edit(span, f'"{body}"'),))
    return SyntaxProblem(
        span, "JSON text needs double quotes, not single ones.", "single-quotes", (fix,)
    )


def _broken_string(text: str, start: int, raw: str, problems: list[SyntaxProblem]) -> Token:
    """A string with a bad escape, a control character, or no closing quote on its line."""
    if not _closed(raw) and (pasted := _PASTED.match(text, start)):
        raw = pasted[0]
        problems.append(_line_breaks(raw, start))
    if _closed(raw):
        body = raw[1:-1]
        end = start + len(raw)
    else:
        body = raw[1:].rstrip()
        # `"abc,` at the end of a line: the quote was forgotten, not the comma.
        body = body[:-1].rstrip() if body.endswith(",") else body
        end = start + 1 + len(body)
        problems.append(_unclosed(text, Span(start, end)))
    for match in _BAD_ESCAPE.finditer(body):
        problem = _bad_character(match, start + 1)
        if problem is not None:
            problems.append(problem)
    return Token(STRING, start, end, decode(body))


def _line_breaks(raw: str, start: int) -> SyntaxProblem:
    breaks = [(start + match.start(), match[0]) for match in _BREAK.finditer(raw)]
    edits = tuple(Edit(Span(at, at + 1), _CONTROL[found]) for at, found in breaks)
    fix = Fix(r"Write `\n` for the line breaks", edits)
    message = r"JSON text may not hold line breaks; write `\n` for each."
    return SyntaxProblem(Span(start, start + len(raw)), message, "line-break", (fix,))


def _closed(raw: str) -> bool:
    if len(raw) < 2 or not raw.endswith('"'):
        return False
    before = raw[1:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0


def _unclosed(text: str, span: Span) -> SyntaxProblem:
    fix = Fix("Close the string here", (Edit(Span(span.end, span.end), '"'),), safe=False)
    shown = text[span.start : min(span.end, span.start + 20)]
    message = f'The text that starts with `{shown}` is never closed: a `"` is missing on this line.'
    return SyntaxProblem(span, message, "unclosed-string", (fix,))


def _bad_character(match: re.Match[str], offset: int) -> SyntaxProblem | None:
    span = Span(offset + match.start(), offset + match.end())
    if match[1]:
        return _bad_escape(match[1], span)
    if match[2]:
        code = ord(match[2])
        replacement = _CONTROL.get(match[2], f"\\u{code:04x}")
        message = (
            f"JSON text may not hold the control character U+{code:04X}; write `{replacement}`."
        )
        fix = Fix(f"Write `{replacement}`", (Edit(span, replacement),))
        return SyntaxProblem(span, message, "control-character", (fix,))
    return None


def _bad_escape(raw: str, span: Span) -> SyntaxProblem:
    fix = Fix("Double the backslash", (Edit(Span(span.start, span.start + 1), "\\\\"),), safe=False)
    if raw.startswith("\\u"):
        message = "`\\u` needs four hexadecimal digits after it."
        return SyntaxProblem(span, message, "bad-escape", (fix,))
    message = f"`{raw}` is no escape that JSON knows; a backslash itself is written `\\\\`."
    return SyntaxProblem(span, message, "bad-escape", (fix,))
