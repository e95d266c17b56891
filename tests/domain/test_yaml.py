"""The tolerant YAML reader: npm yaml's verdict, several problems in one pass, exact spans."""

from __future__ import annotations

import json
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import yaml
from sidecar.domain.edit import apply_edits
from sidecar.domain.tree import Mapping, Node, Scalar, Sequence, to_value

PIECES = st.sampled_from(
    [
        *"{}[],:-?#&*!|>'\"%@`~ \n\t\r",
        "a",
        "b: ",
        "- ",
        "  ",
        "    ",
        "\n  - ",
        "---\n",
        "...\n",
        "# c\n",
        "&x ",
        "*x",
        "!!str ",
        "|-\n  ",
        ">+\n",
        '"\\u0041"',
        "\ufeff",
        "\x00",
        "é",
        "😀",
    ]
)
BROKEN = st.lists(PIECES, max_size=40).map("".join)


def nodes(node: Node | None):
    """Every node of a tree; an alias leads to the node that it names."""
    if node is None:
        return
    yield node
    if isinstance(node, Sequence):
        for item in node.items:
            yield from nodes(item)
    elif isinstance(node, Mapping):
        for entry in node.entries:
            yield entry.key
            yield from nodes(entry.value)


def kinds(text: str) -> list[str]:
    return [problem.kind for problem in yaml.parse(text).problems]


def inside(text: str) -> bool:
    document = yaml.parse(text)
    spans = [node.span for node in nodes(document.root)]
    for problem in document.problems:
        spans += [problem.span, *(edit.span for fix in problem.fixes for edit in fix.edits)]
    return all(0 <= span.start <= span.end <= len(text) for span in spans)


@given(st.text() | BROKEN)
def test_any_text_gives_a_document_whose_spans_lie_inside(text: str):
    assert inside(text)


@given(BROKEN)
def test_every_fix_of_a_problem_can_be_applied(text: str):
    for problem in yaml.parse(text).problems:
        for fix in problem.fixes:
            assert apply_edits(text, fix.edits) != text or not fix.edits


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([None, 1, 4]))
def test_json_is_yaml_with_the_same_value(value, indent: int | None):
    document = yaml.parse(json.dumps(value, indent=indent))

    assert document.problems == ()
    assert to_value(document.root) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("~", None),
        ("Null", None),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("a\n b\n\n c", "a b\nc"),
        ('"a\\\n  b"', "ab"),
        ('"\\ud83d\\ude00"', "😀"),
        ("|\n a\n  b\n\n", "a\n b\n"),
        ("|2-\n  a\n   b", "a\n b"),
        (">\n a\n b\n\n c\n", "a b\nc\n"),
        (">+\n a\n\n", "a\n\n"),
        ("# only a comment", None),
    ],
)
def test_scalars_have_the_types_and_texts_of_yaml_1_2(text: str, value):
    document = yaml.parse(text)

    assert document.problems == ()
    assert to_value(document.root) == value


def test_ten_mistakes_are_found_as_ten_problems():
    items = [
        "- name: a: b",
        '- name: "open',
        "- name: @x",
        "- name: x\n   role: y",
        '- name: "\\d"',
        "- name: *missing",
        "- name: a\n  name: b",
        "- [a b",
        "- name: 'It's'",
        "- name: {a: 1",
    ]
    text = "\n".join([item + "\n- fine: 1" for item in items])

    lines = {text.count("\n", 0, problem.span.start) for problem in yaml.parse(text).problems}
    ranges = [sum(item.count("\n") + 2 for item in items[:i]) for i in range(len(items))]

    for start, item in zip(ranges, items, strict=True):
        assert lines & set(range(start, start + item.count("\n") + 1)), item


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("unquoted-colon", "a: b: c\n"),
        ("bad-indent", "a:\n  - b: 1\n    c: 2\n   d: 3\n"),
        ("tab", "a:\n\t- b\n"),
        ("unclosed-quote", 'a: "b\nc: d\n'),
        ("unclosed-bracket", "a: [b\nc: d\n"),
        ("missing-comma", '{"a": 1\n "b": 2}'),
        ("stray-marker", "a: - b\n"),
        ("fence", "```yaml\na: 1\n```\n"),
        ("duplicate-key", "a: 1\na: 2\n"),
        ("multi-document", "a: 1\n---\nb: 2\n"),
        ("reserved-start", "a: @b\n"),
        ("bad-escape", 'a: "\\d"\n'),
        ("unknown-alias", "a: *b\n"),
        ("directive", "%YAML 1.2\na: 1\n"),
        ("comment-space", 'a: "b"#c\n'),
        ("text-after-value", 'a: "b" c\n'),
        ("missing-colon", "a: 1\nb\n"),
        ("block-header", "a: |x\n  b\n"),
    ],
)
def test_each_mistake_has_its_own_kind_and_keeps_the_tree(kind: str, text: str):
    document = yaml.parse(text)

    assert [problem.kind for problem in document.problems][:1] == [kind]
    assert document.root is not None


@pytest.mark.parametrize(
    "text",
    [
        "a: [b]\n",
        'a: "\x00"',
        "{ // c\n a: 1}",
        "a: b\x0cc\u2028d",
        "a:\tb",
        "- - a\n  - b",
        "? a\n: b",
        "a: &x [1]\nb: *x",
        "<<: {a: 1}",
        "a:\n- b",
        "%YAML 1.2\n---\na: 1\n...\n",
    ],
)
def test_what_npm_yaml_accepts_has_no_problem(text: str):
    assert kinds(text) == []


def test_an_alias_is_the_node_that_it_names_and_never_a_copy():
    root = yaml.parse("a: &x [1, 2]\nb: *x\n").root

    assert isinstance(root, Mapping)
    assert root.get("a") is root.get("b")


def test_aliases_of_aliases_do_not_explode():
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]

    assert "alias-limit" in kinds("\n".join(levels))


@pytest.mark.parametrize("text", ["[" * 50_000, "- " * 20_000, "{a: " * 20_000, "a:\n " * 3_000])
def test_deep_nesting_is_a_problem_and_no_crash(text: str):
    assert yaml.parse(text).problems


def test_spans_are_exact_behind_characters_of_two_units():
    text = "a: 😀 x\nb:\n  - 'y😀'\n  - |\n    z\n"
    found = [text[node.span.start : node.span.end] for node in nodes(yaml.parse(text).root)]

    assert found[1:] == ["a", "😀 x", "b", "- 'y😀'\n  - |\n    z", "'y😀'", "|\n    z"]


def test_quoting_a_text_with_a_colon_keeps_the_text():
    text = textwrap.dedent("""\
        a: don't: "do" this
        b: 1
        """)
    (problem,) = yaml.parse(text).problems
    after = yaml.parse(apply_edits(text, problem.fixes[0].edits))

    assert after.problems == ()
    assert to_value(after.root) == {"a": 'don\'t: "do" this', "b": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [("a: 'It's'\n", "It's"), ('a: "say "hi" now"  # c\n', 'say "hi" now')],
)
def test_quotes_inside_quotes_are_escaped_by_the_fix(text: str, value: str):
    (problem,) = yaml.parse(text).problems
    after = yaml.parse(apply_edits(text, problem.fixes[0].edits))

    assert to_value(after.root) == {"a": value}


def test_a_broken_scalar_still_has_its_whole_text():
    root = yaml.parse("a: one: two\n  three\nb: 1\n").root

    assert isinstance(root, Mapping)
    value = root.get("a")
    assert isinstance(value, Scalar)
    assert value.value == "one: two three"
