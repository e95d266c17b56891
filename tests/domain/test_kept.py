"""What is taken over from an earlier reading is what a fresh reading would give."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import yaml
from sidecar.domain.finding import Finding
from sidecar.domain.kept import Recent
from sidecar.domain.kind import Kind
from sidecar.domain.modes import LoadResult, parse
from sidecar.domain.project import Project
from sidecar.domain.tree import Document
from sidecar.domain.yaml_block import ITEMS
from sidecar.rules.registry import check

MODES = (
    "slug: docs\n  name: Docs\n  roleDefinition: Writes.\n  groups: [read, edit]\n",
    """\
slug: docs-two
  name: 2
  roleDefinition: |-
    Writes.

     More.
  groups:
    - read
    - - edit
      - fileRegex: \\.md$
        description: Markdown
""",
    """\
slug: bad_slug
  name: ''
  groups:
    - raed
    - read
    - read
    - browser
""",
    """\
name: Nobody
  customInstructions: >
    Delegate to `docs-tow`, then
    to the `docs`
    mode.
  groups: read, edit
  source: local
""",
    """{slug: flow, name: "Flow", groups: [[edit, {fileRegex: '*.md'}]]}\n""",
    """\
slug: code
  roleDefinition: It\u2019s \u2014 \u200bquoted
  # a note
  <<: {a: 1}
  groups: []
""",
    """\
slug: long
  name: "two
    lines"
  ? whenToUse
  : plain
    lines
  groups:
""",
)
FRAGMENTS = (
    *("\n", "  ", " ", "- ", "\t", "#", ": ", "'", '"', "&a ", "*a", "!!int ", "[", "]", "{", "}"),
    *("---\n", "...", "x", "|", ">", "\r\n", "\u201c", "\u200b", "\ufeff", "- slug: new\n", "?"),
    *("a: b\n", "```\n", "customModes:\n", "\n- name: y\n", "//", "%", "   - z\n"),
)
HEADS = (
    "customModes:\n",
    "\ufeffcustomModes:\n",
    "# x\ncustomModes:\n",
    "",
    "a: &a 1\ncustomModes:\n",
)


@st.composite
def texts(draw: st.DrawFn) -> list[str]:
    """A mode file, and what becomes of it in the course of a few edits."""
    indent = draw(st.sampled_from(["", "  ", "    "]))
    modes = draw(st.lists(st.sampled_from(MODES), min_size=2, max_size=6))
    lines = "".join(f"- {mode}" for mode in modes).splitlines(keepends=True)
    text = draw(st.sampled_from(HEADS)) + "".join(indent + line for line in lines)
    found = [text]
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.sampled_from([0, 0, 1, 2, 30]))
        text = text[:start] + draw(st.sampled_from(("", *FRAGMENTS))) + text[end:]
        found.append(text)
    return found


def findings(text: str) -> tuple[Document, LoadResult, list[Finding]]:
    """Everything that is made of a mode file."""
    file = parse(text)
    project = Project(datetime(2025, 5, 1, tzinfo=UTC), ZoneInfo("UTC")).having(file)
    return file.document, file.load, check(Kind.MODES, file, project)


@given(texts())
def test_a_tree_after_edits_is_that_of_a_fresh_reading(steps: list[str]):
    """Spans, values, problems and the place that the products name, after every edit."""
    ITEMS.clear()
    kept = [yaml.read(text) for text in steps]
    for text, reading in zip(steps, kept, strict=True):
        ITEMS.clear()
        assert reading == yaml.read(text)


@given(texts())
def test_findings_after_edits_are_those_of_a_fresh_check(steps: list[str]):
    """Every rule on the mode file, its fixes, and what the product loads."""
    ITEMS.clear()
    kept = [findings(text) for text in steps]
    for text, found in zip(steps, kept, strict=True):
        ITEMS.clear()
        assert found == findings(text)


def test_unchanged_items_are_not_read_again():
    """A letter more in front of them moves them all, and each still knows its notes."""
    text = "a:\n" + "".join(f"  - n: {n}\n    m: x\n" for n in range(3))
    ITEMS.clear()
    before, after = yaml.parse(text).root, yaml.parse("# x\n" + text).root

    one, two = (root.get("a").items[1] for root in (before, after))
    assert one.notes is two.notes
    assert two.get("n").span.start == one.get("n").span.start + 4
    assert two.entries[0] == two.entry("n")


def test_what_has_not_been_used_for_long_is_forgotten():
    """At least the last values up to the limit are known, at most twice as many."""
    recent: Recent[int, str] = Recent(10)
    for number in range(30):
        recent.put(number, str(number), 1)
        recent.get(0, 1)

    assert recent.get(0, 1) == "0"
    assert recent.get(29, 1) == "29"
    assert recent.get(21, 1) == "21"
    assert recent.get(5, 1) is None
