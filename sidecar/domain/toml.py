"""Where the keys of a TOML text stand; what they mean is `tomllib`'s to say."""

from __future__ import annotations

import re

from sidecar.domain.source import Span

Key = tuple[str, ...]

_WORD = re.compile(r"""[ \t]*(?:([A-Za-z0-9_-]+)|"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)')""")
_DOT = re.compile(r"[ \t]*\.")
_BETWEEN = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
# A string that is not closed ends with its line, or with the text: else a hostile one would have
# every character looked at again and again.
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.|\\\Z)*?(?:"""(?!")|\Z)'
    r"|'''.*?(?:'''(?!')|\Z)"
    r'|"(?:[^"\\\n]|\\[^\n])*"?'
    r"|'[^'\n]*'?|#[^\n]*|[\[{]|[\]}]|\n",
    re.DOTALL,
)
# No key that anybody asks for has more words.
_DEEPEST = 8


def key_places(text: str) -> dict[Key, Span]:
    """The span of each key's last word, without those of inline tables; never raises."""
    places: dict[Key, Span] = {}
    table: Key = ()
    at = _after(_BETWEEN, text, 0)
    while at < len(text):
        if text[at] == "[":
            start = at + (2 if text.startswith("[[", at) else 1)
            table, at = _key(text, start, (), places)
        else:
            _, at = _key(text, at, table, places)
        at = _after(_BETWEEN, text, _end_of_statement(text, at))
    return places


def place(places: dict[Key, Span], key: Key) -> Span:
    """Where a key stands, or the nearest one above it; the beginning where there is none."""
    known = (places[key[:length]] for length in range(len(key), 0, -1) if key[:length] in places)
    return next(known, Span(0, 0))


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _key(text: str, at: int, within: Key, places: dict[Key, Span]) -> tuple[Key, int]:
    """The dotted key that stands here, and where it ends."""
    key = within
    while found := _WORD.match(text, at):
        group = found.lastindex or 1
        if len(key) < _DEEPEST:
            key = (*key, found[group])
            places.setdefault(key, Span(*found.span(group)))
        at = found.end()
        dot = _DOT.match(text, at)
        if dot is None:
            break
        at = dot.end()
    return key, at


def _end_of_statement(text: str, at: int) -> int:
    """The end of the line in which the value ends that begins here."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        if token[0] in {"[", "{"}:
            depth += 1
        elif token[0] in {"]", "}"}:
            depth -= 1
        elif token[0] == "\n" and depth <= 0:
            return token.end()
    return len(text)
