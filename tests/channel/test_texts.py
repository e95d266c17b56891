"""A channel's copy of an editor's text is the editor's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from sidecar.channel import texts
from sidecar.domain.source import Source
from sidecar.lsp.documents import Document

CHARACTERS = st.text(st.sampled_from("ab \n\r\u2028é🔧"), max_size=12)
POSITIONS = st.builds(
    types.Position, st.integers(min_value=0, max_value=6), st.integers(min_value=0, max_value=9)
)
CHANGES = st.lists(st.tuples(POSITIONS, POSITIONS, CHARACTERS), max_size=6)


@given(CHARACTERS, CHANGES, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_changes_make_the_same_text_as_in_the_sidecar(before, changes, units):
    document = Document("file:///x", 1, Source(before))
    text = texts.Text({"uri": "file:///x", "version": 1, "text": before}, units)
    for version, (one, other, new) in enumerate(changes, start=2):
        first, last = sorted((one, other), key=lambda each: (each.line, each.character))
        change = types.TextDocumentContentChangePartial(types.Range(first, last), new)
        document = document.changed([change], version, units)
        span = {
            "start": {"line": first.line, "character": first.character},
            "end": {"line": last.line, "character": last.character},
        }
        change = {"range": span, "text": new}
        text.change({"textDocument": {"version": version}, "contentChanges": [change]})
    assert text.item()["text"] == document.source.text
    assert text.item()["version"] == 1 + len(changes)


def test_many_changes_are_made_at_once_and_kept_no_longer():
    text = texts.Text({"uri": "file:///x", "version": 1, "text": ""}, "utf-16")
    origin = {"line": 0, "character": 0}
    change = {"range": {"start": origin, "end": origin}, "text": "x"}
    for version in range(texts.MOST_CHANGES * 3):
        text.change({"textDocument": {"version": version}, "contentChanges": [change]})
        assert len(text._changes) <= texts.MOST_CHANGES
    assert text.item()["text"] == "x" * texts.MOST_CHANGES * 3
