"""A text's lines: they are the text, and each begins where the index says."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.source import Source

TEXTS = st.text(st.sampled_from("ab\n\r\u2028\x0b\x85"), max_size=30)


@given(TEXTS)
def test_lines_are_the_text_and_begin_where_the_index_says(text):
    source = Source(text)

    assert "".join(source.lines) == text
    assert source.line_starts == [0, *accumulate(map(len, source.lines[:-1]))]
    for number, line in enumerate(source.lines):
        assert line.rstrip("\r\n") == source.slice(source.line_span(number))


@given(TEXTS)
def test_only_what_lsp_names_ends_a_line(text):
    ended = [line for line in Source(text).lines if line][:-1]

    assert all(line.endswith(("\n", "\r")) for line in ended)
    assert len(Source(text).lines) == text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
