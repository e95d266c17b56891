"""What the client has open: its own copy of each text, by the protocol's idea of a line.

The library's own store splits lines at U+2028, U+0085 and the like, where no client does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from lsprotocol import types

from sidecar.domain.edit import Edit, apply_edits
from sidecar.domain.source import Source
from sidecar.lsp.translate import Encoding, to_span

# JSON can spell half a character; no file can hold one.
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One open text at one version, under the address that the client gave it."""

    uri: str
    version: int
    source: Source

    def changed(
        self, changes: Iterable[types.TextDocumentContentChangeEvent], version: int, units: Encoding
    ) -> Document:
        """The document after a client's changes, each of which refers to the one before."""
        source = self.source
        for change in changes:
            text = clean(change.text)
            if isinstance(change, types.TextDocumentContentChangePartial):
                span = to_span(source, change.range, units)
                text = apply_edits(source.text, [Edit(span, text)])
            source = Source(text)
        return replace(self, version=version, source=source)


def clean(text: str) -> str:
    """A text with every half of a character replaced."""
    return SURROGATE.sub("\ufffd", text)


@dataclass
class Documents:
    """Every open document, found by address however it is percent-encoded."""

    units: Encoding = "utf-16"
    _open: dict[str, Document] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Document]:
        """All open documents."""
        return iter(list(self._open.values()))

    def get(self, uri: str) -> Document | None:
        """The open document of an address, None where there is none."""
        return self._open.get(unquote(uri))

    def open(self, item: types.TextDocumentItem) -> Document:
        """Take a text that the client opened."""
        document = Document(item.uri, item.version, Source(clean(item.text)))
        self._open[unquote(item.uri)] = document
        return document

    def change(self, params: types.DidChangeTextDocumentParams) -> Document | None:
        """Take a client's changes; None for a document that it never opened."""
        identifier = params.text_document
        before = self.get(identifier.uri)
        if before is None:
            return None
        after = before.changed(params.content_changes, identifier.version, self.units)
        self._open[unquote(identifier.uri)] = after
        return after

    def close(self, uri: str) -> Document | None:
        """Forget a document; None for one that was not open."""
        return self._open.pop(unquote(uri), None)
