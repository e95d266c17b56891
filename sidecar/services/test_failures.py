"""Failures of the last validation runs, and where they stand in a text that may have changed.

A failure keeps to its line: it moves with it, and is gone when that line was changed, since nobody
knows then whether it would fail again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from sidecar.domain.source import Source, Span
from sidecar.services import test_results
from sidecar.services.context import Context
from sidecar.services.test_results import TestResult, TestResults
from sidecar.workspace.layout import kind_of

SHOWN_LINES = 8
SHOWN_CHARACTERS = 800
PER_FILE = 200
PLAIN_CATEGORY = "tests"
TEST_FAILED = "test-failed"
# As long as the harness quotes a line; of a longer one only the beginning is known.
QUOTED = 1000
# A file of the workspace can hold a report; its text must not steer what shows it.
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ERROR_LINE = re.compile(r"^E {3}(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed at a line, which counts from 1; ``tests`` are the ids that failed alike."""

    file: str
    line: int
    quote: str
    code: str
    message: str
    tests: tuple[str, ...]
    run: str
    started: float


def latest(context: Context) -> list[Failure]:
    """What failed when it last ran, in files other than those that the sidecar reads itself."""
    return failures(test_results.latest(context))


def failures(known: TestResults) -> list[Failure]:
    """The failures among results, tests that failed alike at one line together."""
    groups: dict[tuple[str, int, str, str], list[TestResult]] = {}
    for each in known.results:
        if each.bad and each.file and kind_of(each.file) is None:
            key = (each.file, each.line or 1, each.category, _explained(each.message))
            groups.setdefault(key, []).append(each)
    return list(_bounded(map(_failure, groups.items())))


def _bounded(found: Iterable[Failure]) -> Iterator[Failure]:
    counts: dict[str, int] = {}
    for each in found:
        counts[each.file] = counts.get(each.file, 0) + 1
        if counts[each.file] <= PER_FILE:
            yield each


def _failure(group: tuple[tuple[str, int, str, str], list[TestResult]]) -> Failure:
    (file, line, category, why), found = group
    first = found[0]
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    name = _CONTROL.sub("", first.id.removeprefix(f"{file}::"))
    verb = "failed" if first.status == "failed" else "could not be run"
    return Failure(
        file=file,
        line=line,
        quote=first.quote,
        code=TEST_FAILED if category in ("", PLAIN_CATEGORY) else category,
        message=f"{name}{others} {verb}:\n{why}" if why else f"{name}{others} {verb}.",
        tests=tuple(each.id for each in found),
        run=first.run,
        started=first.started,
    )


def _explained(message: str) -> str:
    """What went wrong: pytest's own lines about it, else the first lines of what was told."""
    plain = _CONTROL.sub("", message)
    told = _ERROR_LINE.findall(plain) or plain.strip().splitlines()
    return "\n".join(line.rstrip() for line in told[:SHOWN_LINES])[:SHOWN_CHARACTERS].strip()


class Lines:
    """A text's lines, found by what stands in them."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def text(self, line: int) -> str | None:
        """As much of a line as is ever quoted, None past the end."""
        if line >= len(self.source.line_starts):
            return None
        return self.source.slice(self.source.line_span(line))[:QUOTED]

    @cached_property
    def by_text(self) -> dict[str, list[int]]:
        """The numbers of the lines that begin with a text."""
        found: dict[str, list[int]] = {}
        for number, line in enumerate(self.source.lines):
            found.setdefault(line.rstrip("\r\n")[:QUOTED], []).append(number)
        return found

    def content(self, line: int) -> Span:
        """A line without the blanks around it."""
        span = self.source.line_span(line)
        text = self.source.slice(span)
        indent = len(text) - len(text.lstrip())
        return Span(span.start + indent, max(span.start + indent, span.start + len(text.rstrip())))


def place(failure: Failure, lines: Lines, *, unchanged: bool) -> Span | None:
    """Where a failure stands in its file's present text, None where that cannot be told.

    ``unchanged`` says that the text is still the one that was run.
    """
    line = failure.line - 1
    if not failure.quote:
        return lines.content(line) if unchanged and lines.text(line) is not None else None
    before, _, wanted = failure.quote.partition("\n")
    if lines.text(line) == wanted:
        return lines.content(line)
    found = lines.by_text.get(wanted, [])
    if len(found) > 1:
        found = [number for number in found if number and lines.text(number - 1) == before]
    return lines.content(found[0]) if len(found) == 1 else None
