"""The edits that lead from one text to another: few, small, and at places that editors know."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.edit import Edit, apply_edits, difference
from sidecar.domain.source import Source, Span

TEXTS = st.lists(st.sampled_from(["a", "b", "ab", "é", "🔧", "\n", "\r\n", "\r"])).map("".join)


@given(TEXTS, TEXTS)
def test_the_edits_lead_to_the_other_text(before: str, after: str):
    assert apply_edits(before, difference(Source(before), Source(after))) == after


@given(TEXTS, TEXTS)
def test_no_edit_begins_or_ends_within_the_end_of_a_line(before: str, after: str):
    places = {at for edit in difference(Source(before), Source(after)) for at in edit.span}
    assert all(before[at - 1 : at + 1] != "\r\n" for at in places if at)


@given(TEXTS)
def test_equal_texts_need_no_edit(text: str):
    assert difference(Source(text), Source(text)) == []


def test_of_a_changed_line_only_what_differs_is_replaced():
    before, after = '{\n  "a": "10"\n}\n', '{\n  "a": "25"\n}\n'
    assert difference(Source(before), Source(after)) == [Edit(Span(10, 12), "25")]


def test_a_long_text_that_differs_all_over_is_replaced_between_its_equal_ends():
    old = [f"old {number}\n" for number in range(6_000)]
    new = [f"new {number}\n" for number in range(6_000)]
    before, after = "".join(["a\n", *old, "z\n"]), "".join(["a\n", *new, "z\n"])
    [edit] = difference(Source(before), Source(after))
    assert apply_edits(before, [edit]) == after
    assert (edit.span.start, edit.span.end) == (2, len(before) - len(" 5999\nz\n"))
