"""YAML as npm ``yaml`` 2.8 reads it, because that is what the products use.

Each problem is one for which that library throws; a document without problems is one that it
accepts. libyaml disagrees in 5 of 100 mutated files, reports a single problem and has no tree then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sidecar.domain.source import Span
from sidecar.domain.tree import Document, Node
from sidecar.domain.yaml_block import BlockReader

BYTE_ORDER_MARK = "\ufeff"
DIRECTIVE = re.compile(r"%[^\n]*")


@dataclass(frozen=True)
class Reading:
    """A document, and the offset at which the products' parser notices the first problem."""

    document: Document
    noticed: int | None


def parse(text: str) -> Document:
    """The tree of the text's one document and every problem in it; never raises."""
    return read(text).document


def read(text: str) -> Reading:
    """The document, and where the products say that it is broken; never raises."""
    reader = BlockReader(text)
    reader.new_line(1 if text.startswith(BYTE_ORDER_MARK) else 0)
    root = _document(reader)
    problems = sorted(reader.problems, key=lambda problem: problem.span)
    noticed = min(reader.noticed, default=None)
    return Reading(Document(root, tuple(problems)), noticed)


def _document(reader: BlockReader) -> Node | None:
    directive = _prologue(reader)
    marked = reader.at_marker() and reader.peek() == "-"
    if directive and not marked:
        message = "A line that begins with `%` is a directive and needs a `---` line after it."
        reader.problem(directive, "directive", message)
    if marked:
        reader.at += 3
    elif reader.at >= len(reader.text):
        return None
    root = reader.block_node(-1, "document")
    _epilogue(reader)
    return root


def _prologue(reader: BlockReader) -> Span | None:
    """Move over comments and directives; the first directive's span."""
    first: Span | None = None
    while True:
        start = reader.at
        reader.skip()
        if reader.peek() != "%" or reader.at != reader.line_start:
            if reader.at < len(reader.text):
                reader.new_line(max(start, reader.line_start))
            return first
        span = Span(reader.at, reader.line_end(reader.at))
        first = first or span
        reader.at = span.end


def _epilogue(reader: BlockReader) -> None:
    """Whatever follows the document is a problem, unless it is only its end marker."""
    reader.skip()
    while reader.at < len(reader.text) and not reader.at_marker():
        end = reader.line_end(reader.at)
        message = "This line does not belong to the value above it."
        reader.problem(Span(reader.at, end), "stray-text", message)
        reader.at = end
        reader.skip()
    while reader.at_marker() and reader.peek() == ".":
        reader.at += 3
        reader.rest_of_line("text-after-value")
        reader.skip()
    if reader.at < len(reader.text):
        message = (
            "A second document begins here; the products read files with one document only, "
            "and refuse the whole file."
        )
        end = reader.line_end(reader.at)
        reader.problem(Span(reader.at, end), "multi-document", message)
