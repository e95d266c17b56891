"""The plan: what is a task, what is not, and what changes when one is ticked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.edit import apply_edits
from sidecar.domain.todo import Progress, State, parse, set_state, spaces_for_tabs

PIECES = st.sampled_from(
    [
        "- ",
        "* ",
        "1. ",
        "  ",
        "\t",
        "[ ] ",
        "[x] ",
        "[-] ",
        "[]",
        "[done]",
        "a",
        "b ",
        "# ",
        "\n",
        "\n\n",
        "> ",
        "```\n",
        "\r\n",
        "(url)",
        "<!--",
        "-->",
        "- [ ] task\n",
        "\t- [x] sub\n",
    ]
)
PLANS = st.lists(PIECES, max_size=40).map("".join)


def states(text: str) -> list[tuple[str, State, int]]:
    return [(item.text, item.state, item.depth) for item in parse(text).items]


def check(text: str) -> None:
    file = parse(text)
    for item in file.items:
        assert file.source.slice(item.title) == item.text
        assert item.span.start <= item.box.start <= item.title.start <= item.title.end <= len(text)
        assert len(file.source.slice(item.box)) == 1
        assert item.parent is None or file.items[item.parent].depth == item.depth - 1
        for detail in item.details:
            assert file.source.slice(detail.span) == detail.text
    for found in file.malformed:
        assert 0 <= found.span.start < found.span.end <= len(text)
        if found.repair:
            after = parse(apply_edits(text, [found.repair]))

            assert any(item.line == found.line for item in after.items), (text, found)


@given(PLANS | st.text())
def test_any_text_gives_tasks_inside_it_and_repairs_that_make_tasks(text: str):
    check(text)


@given(st.data())
def test_changed_real_plans_are_read(real_text, mutated, data: st.DataObject):
    check(mutated(data.draw, real_text("TODO.md")))


@given(PLANS, st.sampled_from(State))
def test_setting_a_state_changes_only_the_box(text: str, state: State):
    for item in parse(text).items:
        edits = set_state(item, state)
        after = apply_edits(text, edits)

        assert bool(edits) == (item.state is not state)

        assert parse(after).items[item.index].state is state
        assert after[: item.box.start] + after[item.box.end :] == (
            text[: item.box.start] + text[item.box.end :]
        )


@given(PLANS)
def test_spaces_for_tabs_leave_every_task_where_it_is(text: str):
    after = apply_edits(text, spaces_for_tabs(parse(text)))

    assert states(after) == states(text)


def test_nested_numbered_and_quoted_tasks_count_in_every_state():
    text = "- [ ] a\n  1. [x] b\n     * [X] c\n+ [-] d\n2) [~] e\n> - [ ] f\n"

    assert states(text) == [
        ("a", State.OPEN, 0),
        ("b", State.DONE, 1),
        ("c", State.DONE, 2),
        ("d", State.ACTIVE, 0),
        ("e", State.ACTIVE, 0),
        ("f", State.OPEN, 0),
    ]


def test_links_footnotes_and_plain_brackets_are_no_tasks_and_no_mistakes():
    text = "- [x](url)\n- [x][ref]\n- [x]: ref\n- [^1] note\n- [1] first\n- [API] list\n"

    assert parse(text).items == ()
    assert parse(text).malformed == ()


@pytest.mark.parametrize(
    ("line", "repaired"),
    [
        ("- [] a", "- [ ] a"),
        ("- [  ] a", "- [ ] a"),
        ("- [X ] a", "- [x] a"),
        ("- [ x] a", "- [x] a"),
        ("- [done] a", "- [x] a"),
        ("- [WIP] a", "- [-] a"),
        ("- [✓] a", "- [x] a"),
        ("- [х] a", "- [x] a"),
        ("- [\u00a0] a", "- [ ] a"),
        ("- [x]a", "- [x] a"),
        ("- []a", "- [ ] a"),
        ("-[ ] a", "- [ ] a"),
        ("[ ] a", "- [ ] a"),
    ],
)
def test_what_is_meant_as_a_box_is_found_and_mended(line: str, repaired: str):
    (found,) = parse(line).malformed

    assert apply_edits(line, [found.repair]) == repaired
    assert len(parse(repaired).items) == 1


@pytest.mark.parametrize("line", ["- [ ]", "- [x] ", "- [!] a", "- [?] a"])
def test_a_box_without_text_or_meaning_is_found_and_left_to_the_user(line: str):
    (found,) = parse(line).malformed

    assert found.repair is None


def test_details_belong_to_the_innermost_task():
    file = parse("- [ ] a\n  more\n  - plain\n    - [x] b\n      under b\n\n  after\n")

    assert [[d.text for d in item.details] for item in file.items] == [
        ["more", "- plain", "after"],
        ["under b"],
    ]


def test_the_real_plan_has_27_tasks_in_three_sections(real_text):
    file = parse(real_text("TODO.md"))

    assert file.progress() == Progress(total=27, done=9, active=0)
    assert [
        (progress.done, progress.total)
        for section in file.sections
        if (progress := file.progress(file.section_items(section.index))).total
    ] == [(2, 2), (7, 8), (0, 17)]
    assert file.malformed == ()


def test_progress_is_of_all_tasks_or_of_those_given():
    file = parse("- [ ] a\n- [x] b\n- [-] c\n- [x] d\n")

    assert [item.done for item in file.items] == [False, True, False, True]
    assert (file.progress(), file.progress().open) == (Progress(total=4, done=2, active=1), 2)
    assert file.progress(file.items[2:]) == Progress(total=2, done=1, active=1)
    assert file.progress([]) == Progress(total=0, done=0, active=0)


def test_a_task_belongs_to_the_heading_and_the_task_that_it_stands_under():
    file = parse("- [ ] top\n\n# A\n- [ ] one\n  - [x] sub\n\ntext\n## B\n\n- [ ] two\n")
    texts = {parent: [each.text for each in items] for parent, items in file.children.items()}
    sections = [(each.title, each.level, each.line, each.last_line) for each in file.sections]
    under = [[each.text for each in file.section_items(index)] for index in (None, 0, 1, 2)]

    assert texts == {None: ["top", "one", "two"], 1: ["sub"]}
    assert sections == [("A", 1, 2, 6), ("B", 2, 7, 10)]
    assert under == [["top"], ["one", "sub"], ["two"], []]


def test_only_tabs_that_indent_lines_of_lists_become_spaces():
    text = "text\n\n- [ ] a\n\t- [x] b\tc\n\n  \t  more\n\n\tcode\tof b\n"
    after = apply_edits(text, spaces_for_tabs(parse(text)))

    assert after == "text\n\n- [ ] a\n    - [x] b\tc\n\n      more\n\n    code\tof b\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("- [] a", "empty"),
        ("- [X ] a", "mark"),
        ("- [x]a", "no-space"),
        ("- [ ]", "no-text"),
        ("- [!] a", "unknown"),
        ("-[ ] a", "glued"),
        ("[ ] a", "no-marker"),
    ],
)
def test_each_mistake_has_its_reason_also_behind_a_task(line: str, reason: str):
    (found,) = parse(f"- [ ] task\n\n# Next\n\n{line}\n").malformed

    assert (found.reason, found.line) == (reason, 4)


@pytest.mark.parametrize(
    ("indent", "found"), [("", 1), ("   ", 1), ("    ", 0), ("\t", 0), (" \t", 0)]
)
def test_a_box_deep_inside_a_paragraph_is_left_alone(indent: str, found: int):
    assert len(parse(f"text\n{indent}[ ] a\n").malformed) == found
