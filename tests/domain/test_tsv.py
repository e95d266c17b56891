"""Records and fields: no text can forge one, no text stops the reader."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.edit import Edit, apply_edits
from sidecar.domain.tsv import RecordKind, escape, fields, parse, unescape

TEXTS = st.text() | st.lists(
    st.sampled_from(["\t", "\n", "\r", "\\", "t", "n", "\\t", "\x00", "\u2028", "a", "#"])
).map("".join)


@given(TEXTS)
def test_a_field_holds_any_text_and_gives_it_back(value: str):
    raw = escape(value)

    assert not set(raw) & set("\t\r\n\x00\x0b\x0c\x85\u2028\u2029")
    plain = value.translate(
        dict.fromkeys(map(ord, "\x00\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), " ")
    )
    assert unescape(raw) == plain


@given(st.lists(TEXTS, min_size=2, max_size=9))
def test_escaped_fields_are_one_record_with_as_many_fields(values: list[str]):
    line = "\t".join(["id", *map(escape, values)])
    (record,) = parse(line).records

    assert record.kind is RecordKind.RECORD
    assert len(record.raw) == len(values) + 1


@given(TEXTS)
def test_any_text_gives_fields_that_are_the_text(text: str):
    table = parse(text)

    for record in table.records:
        if record.kind is RecordKind.RECORD:
            assert "\t".join(record.raw) == table.source.slice(record.span)
        for field in fields(record.raw, record.span.start):
            assert table.source.slice(field.span) == field.raw


def test_a_backslash_before_another_letter_stands_for_itself():
    assert unescape(r"C:\dir\name") == "C:\\dir\name"
    assert unescape(r"C:\dir\\name") == r"C:\dir\name"


def test_utf16_inside_is_found_and_means_its_text():
    text = "a\tb\n" + "c\td\r\n".encode("utf-16").decode("utf-8", "replace") + "e\tf\n"
    table = parse(text)
    edits = [Edit(segment.span, segment.text) for segment in table.segments]

    assert apply_edits(text, edits) == "a\tb\nc\td\r\ne\tf\n"
    assert {r.kind for r in table.records if "\x00" in table.source.slice(r.span)} == {
        RecordKind.FOREIGN
    }


def test_utf16_whose_letters_are_lost_has_no_meaning():
    text = "ab\u20accd".encode("utf-16-le").decode("utf-8", "replace")

    assert None in [segment.text for segment in parse("\ufffd\x00" * 3).segments]
    assert all(segment.text is None or segment.text.isascii() for segment in parse(text).segments)


def test_comments_and_blank_lines_are_no_records():
    kinds = [record.kind for record in parse("# note\n\n \t\na\tb\n").records]

    assert kinds[:4] == [
        RecordKind.COMMENT,
        RecordKind.BLANK,
        RecordKind.BLANK,
        RecordKind.RECORD,
    ]
