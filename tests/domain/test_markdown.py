"""The block reader against markdown-it-py, and on any text."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sidecar.domain.markdown import LineKind, parse

ORACLE = MarkdownIt("commonmark", {"maxNesting": 100}).disable(["inline", "reference"])

PIECES = st.sampled_from(
    [
        "- ",
        "* ",
        "+ ",
        "1. ",
        "2) ",
        "> ",
        ">",
        "    ",
        "  ",
        " ",
        "\t",
        "```",
        "~~~",
        "````",
        "# ",
        "## ",
        "<!--",
        "-->",
        "<!-- a -->",
        "<div>",
        "</div>",
        "<pre>",
        "</pre>",
        "<b>",
        "[ ]",
        "[x] ",
        "text",
        "a",
        "---",
        "***",
        "===",
        "=",
        "-",
        "\\",
        "`",
        "#",
    ]
)
LINES = st.lists(PIECES, max_size=6).map("".join)
DOCUMENTS = st.lists(LINES, max_size=12).map("\n".join)

OURS = {
    LineKind.FENCE: "code",
    LineKind.CODE: "code",
    LineKind.COMMENT: "html",
    LineKind.HTML: "html",
}


def oracle(text: str) -> dict[int, str]:
    """Which lines markdown-it-py takes for code and HTML."""
    kinds = {"fence": "code", "code_block": "code", "html_block": "html"}
    found: dict[int, str] = {}
    for token in ORACLE.parse(text):
        if token.type in kinds and token.map:
            found |= dict.fromkeys(range(*token.map), kinds[token.type])
    return found


def visible(text: str) -> list[int]:
    """The numbers of the lines that hold more than white space and quote marks."""
    return [n for n, line in enumerate(text.split("\n")) if re.search(r"[^\s>]", line)]


def agree(text: str) -> None:
    expected = oracle(text)
    ours = {line.number: OURS.get(line.kind) for line in parse(text).lines}

    for number in visible(text):
        assert expected.get(number) == ours[number], (number, text.split("\n")[number], text)


# Where markdown-it differs from CommonMark 0.31: quotes indented by four columns, and tabs in
# nested containers. GitHub's own parser (cmark-gfm) agrees with us there.
DIFFERENT = re.compile(r"(?m)(?: {4,}|\t).*>|>.*\t")


@given(DOCUMENTS)
def test_code_and_html_lines_are_those_of_markdown_it(text: str):
    assume(not DIFFERENT.search(text))
    agree(text)


@given(DOCUMENTS | st.text())
def test_any_text_gives_lines_items_and_headings_inside_it(text: str):
    markdown = parse(text)

    assert len(markdown.lines) == len(markdown.source.line_starts)
    for line in markdown.lines:
        assert line.span.start <= line.content.start <= line.content.end == line.span.end
    for item in markdown.items:
        assert 0 <= item.marker.start < item.marker.end <= item.content.start <= len(text)
        assert item.line <= item.last_line < len(markdown.lines)
        assert item.parent is None or item.parent < item.index


@given(DOCUMENTS)
def test_the_closer_closes_what_is_open_at_the_end(text: str):
    markdown = parse(text)
    if markdown.closer:
        after = parse(f"{text}\n{markdown.closer}\n\n# end")

        assert after.sections[-1].title == "end"
        assert not after.closer


def test_tasks_in_code_and_comments_are_not_list_items():
    text = "```\n- [ ] a\n```\n\n    - [ ] b\n\n<!--\n- [ ] c\n-->\n\n> - [ ] d\n"

    assert [text[slice(*item.content)] for item in parse(text).items] == ["[ ] d"]


def test_a_tab_reaches_the_next_multiple_of_four_columns():
    items = parse("- a\n\t- b\n\t\t- c\n  - d\n").items

    assert [item.parent for item in items] == [None, 0, 1, 0]


def test_only_the_three_line_ends_of_editors_end_a_line():
    assert len(parse("a\u2028b\x85c\x0bd\re\r\nf\n").lines) == 4


def test_an_underlined_heading_counts_and_one_in_a_list_is_nested():
    markdown = parse("Plan\n====\n\n- # inner\n\n## Next ##\n")

    assert [(h.level, h.title) for h in markdown.sections] == [(1, "Plan"), (2, "Next")]


def test_a_byte_order_mark_does_not_hide_the_first_heading():
    assert parse("\ufeff# Plan\n").sections[0].title == "Plan"


def test_a_line_of_ten_thousand_markers_is_read_in_linear_time():
    text = "- " * 10_000 + "x\n" + "> " * 10_000 + "x\n"

    assert len(parse(text).items) == 64


@pytest.mark.parametrize("name", ["TODO.md", "persistent-memory.md"])
def test_the_real_files_agree_with_markdown_it(real_text, name: str):
    agree(real_text(name))
