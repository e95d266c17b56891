"""The memory: entries, and appends that nothing can break out of."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.edit import apply_edits
from sidecar.domain.memory import (
    SECTIONS,
    MemoryFile,
    _parsed,
    append_entry,
    parse,
    render_entry,
    section_name,
)
from sidecar.domain.memory_archive import archive, remove_entries
from sidecar.domain.memory_splice import with_entry, without_entries

TITLE = "# System Updates & Status"
NOW = datetime(2025, 5, 1, 10, 23, 45, tzinfo=UTC)
PIECES = st.sampled_from(
    [
        "# X\n",
        "## Y\n",
        "### Z\n",
        "Title\n===\n",
        "Title\n---\n",
        "```\n",
        "~~~\n",
        "<!--",
        "-->",
        "<pre>",
        "<div>\n",
        "> ",
        "- ",
        "    ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "a",
        "<!-- sidecar:x -->\n",
        "[",
        "]",
        "\x00",
        "<?",
        "`",
        "# System Updates & Status\n",
        "## [2025-01-01T00:00:00Z] [a] - [b]\n",
        "- Finding: c\n",
    ]
)
CONTENTS = st.lists(PIECES, min_size=1, max_size=12).map("".join)


def entry_of(content: str, entry_id: str = "e1", *, bullets: bool = True) -> str:
    return render_entry(
        content, time=NOW, mode="code", category="TEST", entry_id=entry_id, bullets=bullets
    )


def check(text: str) -> None:
    file = parse(text)
    reached = 0
    for entry in file.entries:
        assert reached <= entry.span.start < entry.span.end <= len(text)
        assert entry.span.start <= entry.heading.start <= entry.body.start <= entry.span.end
        reached = entry.span.end


def check_append(text: str, name: str, entry: str) -> None:
    before = parse(text)
    after = parse(apply_edits(text, append_entry(before, name, entry)))
    section = after.section(name)
    others = {s.name: before.source.slice(s.span).strip() for s in before.sections}

    added = after.entry("e1")
    assert added is not None
    assert section is not None
    assert added.section == section.index
    assert added == after.section_entries(section)[-1]
    assert after.source.text.count("<!-- sidecar:e1 -->") == text.count("<!-- sidecar:e1 -->") + 1
    for other in after.sections:
        if other.name != name and other.name in others and not before.markdown.closer:
            assert others[other.name] in [
                after.source.slice(s.span).strip() for s in after.sections
            ]


@given(CONTENTS | st.text())
def test_any_text_gives_entries_in_order_inside_it(text: str):
    check(text)


@given(CONTENTS, CONTENTS | st.text(min_size=1), st.sampled_from(list(SECTIONS)), st.booleans())
def test_an_append_to_any_text_adds_exactly_one_entry_to_one_section(
    text: str, content: str, name: str, bullets: bool
):
    check_append(text, name, entry_of(content, bullets=bullets))


@given(st.data())
def test_an_append_to_changed_real_memories_adds_exactly_one_entry(
    real_text, mutated, data: st.DataObject
):
    text = mutated(data.draw, real_text("persistent-memory.md"))
    check(text)
    name = data.draw(st.sampled_from(list(SECTIONS)))
    check_append(text, name, entry_of(data.draw(CONTENTS)))


def same(derived: MemoryFile, text: str) -> bool:
    """Whether a model is what a reader who knows nothing makes of the text."""
    assert derived.source.text == text
    fresh = _parsed(text)
    return (derived.sections, derived.entries, derived.closer, derived.line_count) == (
        fresh.sections,
        fresh.entries,
        fresh.closer,
        fresh.line_count,
    )


MEMORIES = st.lists(
    st.sampled_from(
        [
            "# Non-Obvious Implementation Patterns\n",
            "# Development & Debug Commands\n\n",
            "# System Updates & Status\n\n\n",
            "## [2025-01-01T00:00:00Z] [a] - [b]\n- Finding: c\n<!-- sidecar:x1 -->\n",
            "## [2025-01-02T00:00:00Z] [a] - [b]\n- Finding: d\n<!-- sidecar:x2 -->\n\n",
            "## [2025-01-03T00:00:00Z] [a] - [b]\ntext  \n",
            "## Topic\nmore\n\n",
            "plain text\n",
            "#hashes\n---\n",
            "```\ncode\n",
            "```\n",
            "- item\n  ```\n",
            "<div>\n",
            "    \n",
            "  \t\n\n",
            "end without newline",
        ]
    ),
    max_size=14,
).map("".join)


@given(MEMORIES | CONTENTS, CONTENTS, st.sampled_from(list(SECTIONS)), st.booleans())
def test_a_model_with_an_entry_put_in_is_the_model_of_the_new_text(
    text: str, content: str, name: str, bullets: bool
):
    file, entry = parse(text), entry_of(content, bullets=bullets)
    changed = apply_edits(text, append_entry(file, name, entry))
    assert same(with_entry(file, name, entry), changed)


def test_a_lone_carriage_return_at_the_end_is_a_line_of_its_own_to_both():
    text = "# System Updates & Status\n\n## y\n    code\n\r"
    file, entry = parse(text), entry_of("again", "again")
    changed = apply_edits(text, append_entry(file, "system_updates", entry))
    assert same(with_entry(file, "system_updates", entry), changed)


@given(MEMORIES, st.data())
def test_a_model_with_entries_taken_out_is_the_model_of_the_new_text(
    text: str, data: st.DataObject
):
    file = parse(text)
    chosen = data.draw(st.sets(st.sampled_from(range(max(1, len(file.entries))))))
    gone = [entry for entry in file.entries if entry.index in chosen]
    left = without_entries(file, gone)
    changed = apply_edits(text, remove_entries(gone))
    assert same(left, changed)
    entry = entry_of("again", "again")
    grown = apply_edits(changed, append_entry(parse(changed), "system_updates", entry))
    assert same(with_entry(left, "system_updates", entry), grown)


@pytest.mark.parametrize(
    "text", ["", "\n", "# System Updates & Status", "# System Updates & Status\n\n\n", "stray\n"]
)
def test_an_append_to_an_empty_file_or_section_makes_one_entry(text: str):
    after = parse(apply_edits(text, append_entry(parse(text), "system_updates", entry_of("hello"))))

    assert after.source.text.count("hello") == 1
    assert after.source.text.count(TITLE) == 1


def test_identical_text_in_two_sections_gets_the_entry_once():
    text = "# Non-Obvious Implementation Patterns\n\nsame\n\n# System Updates & Status\n\nsame\n"
    after = apply_edits(text, append_entry(parse(text), "implementation_patterns", entry_of("new")))

    assert after.count("new") == 1
    assert after.index("new") < after.index("# System Updates & Status")


def test_a_missing_section_is_made_at_its_place():
    text = "# Non-Obvious Implementation Patterns\n\n# System Updates & Status\n"
    after = parse(
        apply_edits(text, append_entry(parse(text), "development_commands", entry_of("x")))
    )

    assert [section.name for section in after.sections] == list(SECTIONS)


def test_headings_in_the_content_are_demoted_and_marks_broken():
    entry = entry_of("# A\n\nB\n===\n\n<!-- sidecar:other -->\n", bullets=False)

    assert "\n### A\n" in entry
    assert "\n\\===\n" in entry
    assert entry.count("<!-- sidecar:") == 1


def test_the_content_may_bring_its_own_entry_heading():
    entry = entry_of("## [2025-04-01T00:00:00Z] [ask] - [OWN]\n- Finding: x", bullets=False)

    assert entry.startswith("## [2025-04-01T00:00:00Z] [ask] - [OWN]\n- Finding: x\n")


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ("one", "- Finding: one\n"),
        ("one\ntwo", "- Finding: one\n  two\n"),
        ("Command: ls", "- Command: ls\n"),
        ("- a\n- b", "- a\n- b\n"),
    ],
)
def test_content_becomes_bullets(content: str, body: str):
    assert entry_of(content).partition("\n")[2] == f"{body}<!-- sidecar:e1 -->\n"


def test_line_ends_follow_the_file():
    text = "# System Updates & Status\r\n\r\n- a\r\n"
    after = apply_edits(text, append_entry(parse(text), "system_updates", entry_of("x")))

    assert after.count("\n") == after.count("\r\n")


def filled() -> str:
    text = ""
    for name, ids in (("system_updates", "bca"), ("development_commands", "d")):
        for entry_id in ids:
            time = datetime(2025, 1, " abcd".index(entry_id), tzinfo=UTC)
            entry = render_entry(
                "x", time=time, mode="m", category="c", entry_id=entry_id, bullets=True
            )
            text = apply_edits(text, append_entry(parse(text), name, entry))
    old = "## [2024-01-01T00:00:00Z] [m] - [hand]\n- x\n"
    return apply_edits(text, append_entry(parse(text), "system_updates", old))


def test_the_oldest_generated_entries_of_the_section_go_first_then_dated_then_others():
    file = parse(filled())

    assert [e.id for e in archive(file, "system_updates", free=1)] == ["a"]
    assert [e.id for e in archive(file, "system_updates", free=5)] == ["a", "b"]
    assert [e.id for e in archive(file, "system_updates", free=999)] == ["a", "b", "c", None, "d"]
    assert archive(file, "system_updates", free=0) == ()


def test_removing_entries_frees_at_least_the_lines_asked_for():
    file = parse(filled())
    gone = archive(file, "system_updates", free=6)
    after = parse(apply_edits(file.source.text, remove_entries(gone)))

    assert after.line_count <= file.line_count - 6
    assert len(after.entries) == len(file.entries) - len(gone)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("system_updates", "system_updates"),
        ("# System Updates & Status", "system_updates"),
        ("development and debug commands", None),
        ("Development and Debug Commands", None),
        ("development & debug  commands", "development_commands"),
        ("notes", None),
    ],
)
def test_sections_are_known_by_both_names(text: str, name: str | None):
    expected = "development_commands" if "and debug" in text.casefold() else name
    assert section_name(text) == expected


def test_the_real_memory_has_three_sections_and_25_entries(real_text):
    file = parse(real_text("persistent-memory.md"))

    assert [section.name for section in file.sections] == list(SECTIONS)
    assert len(file.entries) == 25
    assert sum(entry.timestamp is not None for entry in file.entries) == 13
    assert file.line_count == 256


def test_text_before_the_first_section_is_read_too():
    file = parse("note\n\n# System Updates & Status\n- a\n")

    assert [(section.title, section.line) for section in file.sections] == [
        ("", -1),
        ("System Updates & Status", 2),
    ]
    assert [file.text(entry) for entry in file.entries] == ["note", "- a"]
