"""The tolerant JSON reader: JSON.parse's verdict, several errors in one pass, exact spans."""

from __future__ import annotations

import json as standard
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import json
from sidecar.domain.edit import apply_edits
from sidecar.domain.tree import Mapping, Node, Sequence, to_value

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)  # fmt: skip
PIECES = st.sampled_from(
    [
        *"{}[]:,\"'/\\ \n\t\r",
        *("//x\n", "/*", "*/", "\ufeff", "\u00a0", "\u200b", "true", "nul", '"a"', '"a":', "1"),
        *("-", "01", "1.", "1e5", "NaN", "\\u12", "\\ud83d", "\x00", "é", "😀"),
    ]
)
BROKEN = st.lists(PIECES, max_size=40).map("".join)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid text with some characters taken out or put in."""
    text = standard.dumps(draw(VALUES), indent=draw(st.sampled_from((None, 2))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(PIECES | st.just("")) + text[at + draw(st.integers(0, 2)) :]
    return text


def refuse(word: str) -> float:
    raise ValueError(word)


def standard_value(text: str) -> tuple[bool, object]:
    """Whether JSON.parse accepts the text, and its value: the standard library without NaN."""
    try:
        return True, standard.loads(text, parse_constant=refuse)
    except ValueError:
        return False, None


def kinds(text: str) -> list[str]:
    return [problem.kind for problem in json.parse(text).problems]


def nodes(node: Node | None):
    if node is None:
        return
    yield node
    match node:
        case Sequence(items=items):
            for item in items:
                yield from nodes(item)
        case Mapping(entries=entries):
            for entry in entries:
                yield from nodes(entry.key)
                yield from nodes(entry.value)


@given(VALUES, st.sampled_from((None, 2)), st.booleans())
def test_a_valid_text_gives_its_value_and_no_problem(value, indent, ascii_only):
    text = standard.dumps(value, indent=indent, ensure_ascii=ascii_only)

    document = json.parse(text)

    assert document.problems == ()
    assert to_value(document.root) == standard.loads(text)


@given(BROKEN | mutated() | st.text())
def test_the_verdict_is_that_of_a_strict_parser(text):
    accepted, value = standard_value(text)
    document = json.parse(text)

    assert json.strictly_valid(document) == accepted
    if accepted and "\\u" not in text:
        assert to_value(document.root) == value


@given(BROKEN | mutated() | st.text())
def test_every_span_lies_inside_the_text_and_nests(text):
    document = json.parse(text)

    for problem in document.problems:
        assert 0 <= problem.span.start <= problem.span.end <= len(text)
        for fix in problem.fixes:
            assert apply_edits(text, fix.edits) != text
    for node in nodes(document.root):
        assert 0 <= node.span.start <= node.span.end <= len(text)
        for child in [*nodes(node)][1:]:
            assert node.span.start <= child.span.start
            assert child.span.end <= node.span.end


@given(st.integers() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_value_s_span_is_exactly_its_text(value):
    text = f"\n  [ {standard.dumps(value, ensure_ascii=False)} ,  1]"

    root = json.parse(text).root

    assert isinstance(root, Sequence)
    span = root.items[0].span
    assert standard.loads(text[span.start : span.end]) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1,}', ["trailing-comma"]),
        ("[1 2]", ["missing-comma"]),
        ('{"a" 1}', ["missing-colon"]),
        ('{"a":}', ["value-expected"]),
        ("{a:1}", ["unquoted-key"]),
        ("['a']", ["single-quotes"]),
        ('{"a":"b,\n"c":2}', ["unclosed-string"]),
        ('{"a":"b\n\nd","c":2}', ["line-break"]),
        ("[1,2", ["unclosed-bracket"]),
        ('{"schedules":[{"a":1}', ["unclosed-bracket"]),
        ('{"schedules":[{"a":1}}', ["unclosed-bracket"]),
        ("\ufeff{}", ["bom"]),
        ("{} x", ["trailing-content"]),
        ('{"a":1,"a":2}', ["duplicate-key"]),
        ('// c\n{"a":1}', ["comment"]),
        ("[1] /* x", ["comment", "unclosed-comment"]),
        ("", ["empty"]),
        ("[01]", ["bad-number"]),
        ("[NaN]", ["unknown-word"]),
        ("[True]", ["unknown-word"]),
        ('["\\x"]', ["bad-escape"]),
        ('["\\u12"]', ["bad-escape"]),
        ('["a\tb"]', ["control-character"]),
        ("[,1]", ["value-expected"]),
        ("[1]]", ["trailing-content"]),
        ("[1}", ["stray-bracket"]),
        ("\u00a0[]", ["invisible-character"]),
        ('{"a":1,\n 2,\n "b":tru,\n "c":[1 2],}',
         ["property-expected", "unknown-word", "missing-comma", "trailing-comma"]),
    ],
)  # fmt: skip
def test_each_error_has_a_stable_kind(text, expected):
    assert kinds(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":1,}', {"a": 1}),
        ("[1 2]", [1, 2]),
        ('{"a":1,\n"b":"x,\n"c":3,}', {"a": 1, "b": "x", "c": 3}),
        ('[{"a":1,{"b":2}]', None),
        ("{'a': 'it\\'s'}", {"a": "it's"}),
        ("{a: True}", {"a": True}),
        ('\ufeff{"a": [1, 2,],}', {"a": [1, 2]}),
        ('{"a": "Do:\r\n- \tit\n- all",\n"b": 2}', {"a": "Do:\r\n- \tit\n- all", "b": 2}),
    ],
)
def test_as_much_tree_as_there_is_is_built_and_the_safe_fixes_mend_the_rest(text, value):
    document = json.parse(text)
    if value is not None:
        assert to_value(document.root) == value

    for _ in range(9):
        fixes = [fix for problem in json.parse(text).problems for fix in problem.fixes]
        if not fixes:
            break
        text = apply_edits(text, fixes[0].edits)

    if value is not None:
        assert standard.loads(text) == value


WORDS = st.text(st.characters(codec="utf-8", exclude_characters=":"))
FLAT = st.dictionaries(
    WORDS,
    st.none() | st.booleans() | st.integers() | st.floats(-9e9, 9e9) | WORDS
    | st.dictionaries(WORDS, st.integers(), max_size=2) | st.lists(st.booleans(), max_size=2),
    min_size=1,
)  # fmt: skip


@given(FLAT, st.sampled_from([None, 2]), st.booleans())
def test_properties_are_the_same_at_once_and_word_by_word(value, indent, ascii_only):
    text = standard.dumps(value, indent=indent, ensure_ascii=ascii_only)
    # A blank that is none to JSON is reported, and passed over.
    slow = json.parse(text.replace('": ', '":\u00a0'))

    quick = json.parse(text)

    assert quick.root == slow.root
    assert {problem.kind for problem in slow.problems} == {"invisible-character"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ , "a": 1}', ["property-expected"]),
        ('{"a": 1 {"b": 2}, "c": 3}', ["missing-comma", "trailing-content"]),
        ('{"a": 1, "b": 2, , "c": 3}', ["property-expected"]),
        ('{"a": 1, "b": 2,}', ["trailing-comma"]),
        ('{"a": 1, "b": 2 "c": 3, "a": 4}', ["duplicate-key", "missing-comma"]),
    ],
)
def test_an_error_beside_sound_properties_is_found(text, expected):
    assert sorted(set(kinds(text))) == expected


def test_a_surrogate_pair_is_one_character_and_half_a_pair_is_replaced():
    assert to_value(json.parse(r'["\ud83d\ude00", "\ud800"]').root) == ["😀", "�"]


def test_a_number_beyond_a_double_is_infinite():
    assert to_value(json.parse("9" * 5000).root) == math.inf


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 50_000 + "]" * 50_000])
def test_no_depth_exhausts_the_stack(text):
    document = json.parse(text)

    assert "too-deep" in [problem.kind for problem in document.problems]
    assert to_value(document.root) is not None


def test_a_text_of_nothing_but_errors_stops_after_a_thousand():
    assert 1000 <= len(kinds("'x' " * 5000)) < 1010


PIECES = st.sampled_from(
    [
        '{"id": "1", "n": 5}',
        '{"id": "2", "days": {"mon": true}, "l": [1, {"a": null}]}',
        '{\n  "id": "3"\n}',
        '{"id": "1", "id": "2"}',
        '{"id": }',
        "{}",
        "[]",
        "7",
        "// note\n{}",
        '{"deep": ' + "[" * 60 + "]" * 60 + "}",
    ]
)
LISTS = st.tuples(
    st.sampled_from(
        ["[{}]", '{{"schedules": [{}]}}', '{{"a": [1], "schedules": [\n{}\n], "b": [{{}}]}}']
    ),
    st.lists(PIECES, max_size=6),
    st.sampled_from([",", ", ", ",\n  ", " , // and\n", " "]),
).map(lambda made: made[0].format(made[2].join(made[1])))


@given(st.lists(LISTS, min_size=2, max_size=5))
def test_what_is_known_of_an_earlier_text_changes_nothing(texts):
    for text in texts:
        json.parse.cache_clear()
        known = json.parse(text)
        alone = json._Parser(text).document()
        assert known == alone
        assert repr(to_value(known.root)) == repr(to_value(alone.root))


def test_a_known_object_is_moved_to_where_it_stands():
    item = '{"id": "1", "days": {"mon": true}}'
    json.parse(f"[{item}]")
    moved = json.parse(f"[7, \n{item}]").root
    assert isinstance(moved, Sequence)
    found = moved.items[1]
    assert isinstance(found, Mapping)
    day = found.get("days")
    assert isinstance(day, Mapping)
    at = len("[7, \n")
    assert (found.span.start, day.span.start) == (at, at + item.index('{"mon"'))
