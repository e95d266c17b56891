"""JSON texts, read tolerantly: every syntax error of one pass, and as much tree as there is."""

from __future__ import annotations

import re
from collections.abc import Sequence as Listed
from dataclasses import dataclass
from functools import lru_cache

from sidecar.domain import kept
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, SyntaxProblem
from sidecar.domain.json_tokens import (
    COMMENT,
    END,
    LITERALS,
    MAX_PROBLEMS,
    MEANT,
    NUMBER,
    PROPERTY,
    STRING,
    WORD,
    Token,
    tokens,
    value_of,
)
from sidecar.domain.source import Span
from sidecar.domain.tree import Document, Entry, Mapping, Node, Scalar, Sequence, Style

# Deeper values are skipped, so that no recursion over a tree can exhaust the stack.
MAX_DEPTH = 100

# Problems that JSON.parse does not mind.
TOLERATED = frozenset({"duplicate-key", "too-deep"})

# Objects in the file's one list, or in a list of its root, are remembered from text to text.
_LIST_DEPTH = 2
# In characters; a longer text's objects would take too much memory.
_MOST_KEPT = 1_000_000
# How many objects may have been taken out of a list at one place.
_LOOK_AHEAD = 16
_NEXT_OBJECT = re.compile(r"[ \t\r\n]*,[ \t\r\n]*(?=\{)")
Kept = Listed[tuple[str, kept.Item]]


# A tool reads what it has just written, and a writer what the one before it has.
@lru_cache(maxsize=4)
def parse(text: str) -> Document:
    """The tree and the problems of a JSON text; never raises."""
    parser = _Parser(text, _latest.items)
    document = parser.document()
    if len(text) <= _MOST_KEPT:
        _latest.items = parser.kept
    return document


@dataclass
class _Latest:
    """The objects of the list in the text that was read last."""

    items: Kept = ()


_latest = _Latest()


def strictly_valid(document: Document) -> bool:
    """Whether JSON.parse accepts the text that this document was parsed from."""
    return all(problem.kind in TOLERATED for problem in document.problems)


class _Parser:
    """A recursive descent that recovers as VS Code's parser does.

    Objects in a list that stood in the text read before are ``known`` by their text: files of
    hundreds of them are read again after each change of one.
    """

    def __init__(self, text: str, known: Kept = ()) -> None:
        self.kept: Kept = ()
        self._known = known
        self._next = 0
        self._text = text
        self._problems: list[SyntaxProblem] = []
        self._tokens = tokens(text, self._problems)
        self._token = Token(END, 0, 0)
        self._end = 0
        self._reported = -1
        self._open: list[str] = []
        self._advance()

    def document(self) -> Document:
        root = None
        if self._token.kind == END:
            span = Span(0, len(self._text))
            message = "The file is empty: JSON needs one value, such as `{}`."
            self._problems.append(SyntaxProblem(span, message, "empty"))
        else:
            root = self._value()
            if root is None:
                self._report(
                    "A JSON value is expected here: `{`, `[`, text, a number.", "value-expected"
                )
            elif self._token.kind != END:
                span = Span(self._token.start, len(self._text.rstrip()))
                message = "The file's one value has ended before this; nothing may follow it."
                self._report(message, "trailing-content", span)
            while self._token.kind != END:
                self._advance()
        problems = sorted(self._problems, key=lambda problem: (problem.span, problem.kind))
        return Document(root, tuple(problems))

    def _advance(self) -> None:
        """Take the next word, reporting comments on the way."""
        self._end = self._token.end
        token = next(self._tokens)
        while token.kind == COMMENT:
            fix = Fix("Remove the comment", (Edit(token.span, ""),), safe=False)
            message = "JSON has no comments: JSON.parse refuses the whole file because of this one."
            self._problems.append(SyntaxProblem(token.span, message, "comment", (fix,)))
            token = next(self._tokens)
        self._token = token

    def _report(
        self, message: str, kind: str, span: Span | None = None, fixes: tuple[Fix, ...] = ()
    ) -> None:
        """Report at the present word; a second report at the same word is a consequence."""
        span = span or self._here()
        if span.start != self._reported:
            self._reported = span.start
            self._problems.append(SyntaxProblem(span, message, kind, fixes))

    def _here(self) -> Span:
        """The present word; at the end of the text, the last character before it."""
        if self._token.kind != END:
            return self._token.span
        return Span(max(0, self._end - 1), self._end)

    def _skip_to(self, *kinds: str) -> None:
        while self._token.kind != END and self._token.kind not in kinds:
            self._advance()

    def _value(self) -> Node | None:
        token = self._token
        if token.kind in "{[":
            return self._container()
        if token.kind in (STRING, NUMBER):
            self._advance()
            style = Style.DOUBLE if token.kind == STRING else Style.PLAIN
            return Scalar(token.span, token.value, style)
        return self._word() if token.kind == WORD else None

    def _word(self) -> Node | None:
        """A literal, or a word that stands for nothing in JSON."""
        token, word = self._token, str(self._token.value)
        if word in LITERALS:
            self._advance()
            return Scalar(token.span, LITERALS[word])
        if word in MEANT:
            meant = MEANT[word]
            fix = Fix(f"Write `{meant}`", (Edit(token.span, meant),))
            self._report(f"JSON writes `{meant}`, not `{word}`.", "unknown-word", fixes=(fix,))
            self._advance()
            return Scalar(token.span, LITERALS[meant])
        if word[0] in "+-.0123456789":
            self._report(f"`{word[:40]}` is not a number as JSON writes it.", "bad-number")
        else:
            message = f"`{word[:40]}` is no JSON value; text needs double quotes."
            self._report(message, "unknown-word", fixes=_quoted(token, word))
        self._advance()
        return Scalar(token.span, word)

    def _container(self) -> Node:
        if len(self._open) >= MAX_DEPTH:
            return self._too_deep()
        is_object = self._token.kind == "{"
        self._open.append("}" if is_object else "]")
        return self._object() if is_object else self._array()

    def _ended(self) -> bool:
        """Whether the present container ends here, be it by a bracket that closes an outer one."""
        return self._token.kind == END or self._token.kind in self._open

    def _too_deep(self) -> Node:
        """Skip one container word by word."""
        start, depth = self._token.start, 0
        message = f"Values nested more than {MAX_DEPTH} deep are not looked into."
        self._problems.append(SyntaxProblem(self._token.span, message, "too-deep"))
        while self._token.kind != END:
            if self._token.kind in "{[":
                depth += 1
            elif self._token.kind in "}]":
                depth -= 1
            self._advance()
            if depth == 0:
                break
        return Scalar(Span(start, self._end), None)

    def _array(self) -> Node:
        start = self._token.start
        items: list[Node] = []
        found: list[tuple[str, kept.Item]] = []
        listed = len(self._open) <= _LIST_DEPTH
        self._advance()
        separated = True
        while not self._ended():
            if not self._separator("]", "value", separated=separated):
                break
            item = self._object_of_list(items, found) if listed else self._value()
            if item is None:
                self._report("A value is expected here.", "value-expected")
                self._skip_to("]", ",")
            else:
                items.append(item)
            separated = False
        if len(found) > len(self.kept):
            self.kept = found
        return Sequence(self._close(start, "]"), tuple(items))

    def _object_of_list(self, items: list[Node], found: list[tuple[str, kept.Item]]) -> Node | None:
        """The next item; known ones before it are put into the list at once."""
        if self._token.kind != "{":
            return self._value()
        start, problems = self._token.start, len(self._problems)
        end = self._known_objects(start, items, found)
        if end:
            self._tokens = tokens(self._text, self._problems, end)
            self._token = Token("}", end - 1, end)
            self._advance()
            return items.pop()
        item = self._value()
        if not isinstance(item, Mapping) or len(self._problems) > problems:
            return item
        text = self._text[start : item.span.end]
        if text.count("{") + text.count("[") > MAX_DEPTH // 2:
            return item  # what is too deep depends on the depth at which it stands
        known = kept.Item(item, start, len(text))
        found.append((text, known))
        return kept.Kept(known, start)

    def _known_objects(
        self, start: int, items: list[Node], found: list[tuple[str, kept.Item]]
    ) -> int:
        """Put the known objects that follow each other here into the list; where they end."""
        text, end = self._text, 0
        while pair := self._known_at(start):
            found.append(pair)
            items.append(kept.Kept(pair[1], start))
            end = start + len(pair[0])
            following = _NEXT_OBJECT.match(text, end)
            if following is None:
                break
            start = following.end()
        return end

    def _known_at(self, start: int) -> tuple[str, kept.Item] | None:
        """The known object that stands here, if it is one of the next."""
        known, after = self._known, self._next + _LOOK_AHEAD
        for place in range(self._next, min(after, len(known))):
            if self._text.startswith(known[place][0], start):
                self._next = place + 1
                return known[place]
        return None

    def _object(self) -> Node:
        start = self._token.start
        entries: list[Entry] = []
        separated = not self._plain_properties(entries)
        if separated:
            self._advance()
        while not self._ended():
            if not separated and self._token.kind == "," and self._plain_properties(entries):
                continue
            if not self._separator("}", "property", separated=separated):
                break
            entry = self._property()
            if entry is None:
                self._report(
                    "A property name in double quotes is expected here.", "property-expected"
                )
                self._skip_to("}", ",")
            else:
                entries.append(entry)
            separated = False
        self._duplicates(entries)
        return Mapping(self._close(start, "}"), tuple(entries))

    def _plain_properties(self, entries: list[Entry]) -> bool:
        """Take the sound properties after the present brace or comma; whether there were any.

        Much quicker than word by word. The mark after them is the present word then.
        """
        text, place = self._text, self._token.end
        if len(self._problems) >= MAX_PROBLEMS:
            return False
        before = len(entries)
        while text[place - 1] != "}" and (match := PROPERTY.match(text, place)):
            place = match.end()
            entries.append(_plain_property(match))
        if len(entries) == before:
            return False
        self._end = entries[-1].value.span.end
        self._token = Token(text[place - 1], place - 1, place)
        self._tokens = tokens(text, self._problems, place)
        return True

    def _separator(self, closing: str, what: str, *, separated: bool) -> bool:
        """Pass the comma before an item; false where a trailing comma ends the container."""
        if self._token.kind != ",":
            if not separated:
                self._missing_comma(what)
            return True
        comma = self._token
        if separated:
            self._report(f"A {what} is missing before this comma.", f"{what}-expected")
        self._advance()
        if self._token.kind != closing:
            return True
        if not separated:
            fix = Fix("Remove the trailing comma", (Edit(comma.span, ""),))
            message = f"JSON allows no comma before `{closing}`."
            self._report(message, "trailing-comma", comma.span, (fix,))
        return False

    def _missing_comma(self, what: str) -> None:
        if self._token.kind in ("]", "}"):
            self._report(
                f"Nothing was opened that this `{self._token.kind}` could close.", "stray-bracket"
            )
            return
        fix = Fix("Insert the missing comma", (Edit(Span(self._end, self._end), ","),))
        self._report(f"A comma is missing before this {what}.", "missing-comma", fixes=(fix,))

    def _close(self, start: int, closing: str) -> Span:
        self._open.pop()
        if self._token.kind == closing:
            self._advance()
            return Span(start, self._end)
        opening = "[" if closing == "]" else "{"
        fix = Fix(f"Insert `{closing}`", (Edit(Span(self._end, self._end), closing),), safe=False)
        message = f"A `{closing}` is missing here: the `{opening}` opened earlier is never closed."
        self._report(message, "unclosed-bracket", fixes=(fix,))
        return Span(start, max(self._end, start + 1))

    def _property(self) -> Entry | None:
        token = self._token
        if token.kind == WORD:
            word = str(token.value)
            fixes = _quoted(token, word)
            self._report("Property names need double quotes.", "unquoted-key", fixes=fixes)
        elif token.kind != STRING:
            return None
        key = Scalar(token.span, token.value, Style.DOUBLE)
        self._advance()
        missing = Scalar(Span(token.end, token.end), None)
        if self._token.kind == ":":
            self._advance()
        elif not self._colon_missing(token):
            return Entry(key, missing)
        elif self._token.kind == WORD and self._token.value not in LITERALS:
            # A stray quote has turned names and values inside out: go on at the next comma.
            self._skip_to("}", ",")
            return Entry(key, missing)
        value = self._value()
        if value is None:
            self._report("A value is expected after the property name.", "value-expected")
            self._skip_to("}", ",")
        return Entry(key, value or missing)

    def _colon_missing(self, key: Token) -> bool:
        """Report it; false where the next word is the next line's property."""
        at = Span(key.end, key.end)
        fix = Fix("Insert the colon", (Edit(at, ":"),))
        next_line = "\n" in self._text[key.end : self._token.start]
        following = self._token.kind == STRING and next_line
        fixes = () if following or self._token.kind in ("}", "]", ",", END) else (fix,)
        self._report("A colon is missing after the property name.", "missing-colon", fixes=fixes)
        return not following

    def _duplicates(self, entries: list[Entry]) -> None:
        seen: set[object] = set()
        for entry in entries:
            name = entry.key.value
            if name in seen and name != "//":
                message = f"`{name}` stands here a second time; only the last one counts."
                self._problems.append(SyntaxProblem(entry.key.span, message, "duplicate-key"))
            seen.add(name)


def _plain_property(match: re.Match[str]) -> Entry:
    name, raw = match["name"], match["value"]
    key = Scalar(Span(*match.span("name")), value_of(name), Style.DOUBLE)
    style = Style.DOUBLE if raw[0] == '"' else Style.PLAIN
    return Entry(key, Scalar(Span(*match.span("value")), value_of(raw), style))


def _quoted(token: Token, word: str) -> tuple[Fix, ...]:
    if '"' in word or "\\" in word or not word.isprintable():
        return ()
    return (Fix("Add double quotes", (Edit(token.span, f'"{word}"'),)),)
