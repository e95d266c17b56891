"""Mode files: what is written, with spans in the original text, and what the product loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import ecma
from sidecar.domain.modes import load, parse
from sidecar.domain.modes_catalog import BUILT_IN, family, known, skipped_stages
from sidecar.domain.modes_text import clean
from sidecar.domain.suggest import nearest
from sidecar.domain.tree import Mapping, Node, Sequence

VECTORS = Path(__file__).parents[1] / "vectors" / "modes_vectors.json"
TEXTS = [case["text"] for case in json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]]
PIECES = st.sampled_from(
    [
        "\n",
        "  ",
        "\t",
        ": ",
        "- ",
        "#",
        '"',
        "'",
        "[",
        "]",
        "{",
        "}",
        ",",
        "|",
        "&a ",
        "*a",
        "---\n",
        "\u200b",
        "\xa0",
        "—",
        "“",
        "’",
        "\ufeff",
        "\r",
        "\x00",
        "😀",
        "edit",
        "@",
    ]
)
DOCS = """\
customModes:
  - slug: docs
    name: 📚 Docs
    roleDefinition: >-
      You write.
    whenToUse: Use it
    groups:
      - read
      - - edit
        - fileRegex: \\.md$
          description: Markdown
"""


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A mode file with some characters taken out or put in."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        gone = draw(st.integers(0, 3))
        text = text[:at] + draw(PIECES | st.just("")) + text[at + gone :]
    return text


def spans(node: Node | None):
    if node is not None:
        yield node.span
    if isinstance(node, Sequence):
        for item in node.items:
            yield from spans(item)
    elif isinstance(node, Mapping):
        for entry in node.entries:
            yield entry.key.span
            yield from spans(entry.value)


@given(st.text() | mutated(), st.sampled_from(["roo", "zoo", "kilo", "bob"]))
def test_any_text_gives_a_model_whose_spans_lie_inside(text: str, product: str):
    file = parse(text, product=product)
    found = [*spans(file.document.root), *(problem.span for problem in file.document.problems)]
    found += [mode.head for mode in file.modes]

    assert all(0 <= span.start <= span.end <= len(text) for span in found)
    assert file.load.verdict in {"valid", "schema-error", "yaml-error", "silent-empty"}
    assert len(file.load.modes) <= max(file.total, 0) or file.load.verdict == "valid"


def test_a_mode_knows_its_fields_and_groups_with_their_places():
    (mode,) = parse(DOCS).modes
    read, edit = mode.groups

    assert (mode.slug, mode.name, mode.role_definition) == ("docs", "📚 Docs", "You write.")
    assert (mode.when_to_use, mode.description, mode.source) == ("Use it", None, None)
    assert (read.name, edit.name, edit.file_regex) == ("read", "edit", r"\.md$")
    assert edit.description == "Markdown"
    assert edit.file_regex_node is not None
    assert DOCS[slice(*edit.file_regex_node.span)] == r"\.md$"
    assert DOCS[slice(*mode.head)] == "slug: docs"


def test_all_modes_are_made_out_in_a_broken_file():
    broken = DOCS.replace("Use it", "Use it: always") + "  - slug: other\n    name: O\n"
    file = parse(broken)

    assert file.load.verdict == "yaml-error"
    assert [mode.slug for mode in file.modes] == ["docs", "other"]
    assert file.modes[0].groups[1].name == "edit"


def test_spans_refer_to_the_text_before_characters_were_removed():
    text = "\ufeff# \u200b\u200dx\n" + DOCS.replace("📚", "👨\u200d💻")
    (mode,) = parse(text).modes
    entry = mode.entry("whenToUse")

    assert mode.name == "👨💻 Docs"
    assert entry is not None
    assert text[slice(*entry.value.span)] == "Use it"


@given(st.text(st.sampled_from("ab\u200b\u200d\u2014\ufeff\n"), max_size=12))
def test_every_kept_character_finds_its_way_back(text: str):
    cleaned = clean(text)
    for offset, char in enumerate(cleaned.text):
        original = text[cleaned.start(offset)]

        assert original == char or (original, char) == ("\u2014", "-")


def test_json_that_only_json_parsers_read_is_loaded_in_a_project_file_alone():
    text = '{"customModes": [{"slug": "a", "name": "A", "roleDefinition": "“x”", "groups": []}]}'

    assert load(text).verdict == "valid"
    assert load(text).parsed_as == "json"
    assert load(text, filename="custom_modes.yaml").verdict == "yaml-error"
    assert load(text, filename="custom_modes.yaml").message is None


@pytest.mark.parametrize(
    ("product", "group", "verdict"),
    [
        ("roo", "web", "schema-error"),
        ("zoo", "web", "valid"),
        ("kilo", "browser", "valid"),
        ("roo", "browser", "valid"),
        ("bob", "subagent", "valid"),
        ("kilo", "subagent", "schema-error"),
    ],
)
def test_each_product_has_its_own_tool_groups(product: str, group: str, verdict: str):
    text = f"customModes: [{{slug: a, name: A, roleDefinition: x, groups: [{group}]}}]"
    result = load(text, product=product)

    assert result.verdict == verdict
    if verdict == "valid":
        kept = [] if (product, group) == ("roo", "browser") else [group]
        assert result.modes[0]["groups"] == kept


def test_zoo_and_kilo_keep_fields_that_roo_drops():
    text = (
        "customModes: [{slug: a, name: A, roleDefinition: x, groups: [], "
        "allowedMcpServers: [s], iconName: i}]"
    )

    assert load(text, product="zoo").modes[0]["allowedMcpServers"] == ["s"]
    assert load(text, product="kilo").modes[0]["iconName"] == "i"
    assert "iconName" not in load(text).modes[0]


@pytest.mark.parametrize(
    "pattern",
    [r"\.md$", "", r"(?<n>a)\k<n>", "(?<!a)b", r"\Z", r"\p{L}", "[[:alpha:]]", "a{,3}", "[^]"],
)
def test_what_node_20_compiles_is_a_pattern(pattern: str):
    assert ecma.error(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "*.md",
        "**/*.md",
        "(?i)a",
        "(?i:a)",
        "(?P<n>a)",
        "a++",
        "(?>a)",
        "(?|a|b)",
        "a{2,1}",
        "(",
        r"\b*",
        "(?<a>x)|(?<a>y)",
        "[z-a]",
        "a**",
    ],
)
def test_what_node_20_refuses_is_no_pattern(pattern: str):
    assert ecma.error(pattern) is not None


def test_a_pattern_is_searched_anywhere_in_the_path():
    assert ecma.matches(r"\.md", "docs/a.md.py")
    assert not ecma.matches(r"^a\.md$", "docs/a.md")


def test_built_in_modes_stand_behind_those_of_the_file():
    modes = known(parse(DOCS.replace("slug: docs", "slug: code")).modes)

    assert [mode.slug for mode in modes] == ["code", "architect", "ask", "debug", "orchestrator"]
    assert modes[0].origin == "project"
    assert modes[0].may_edit("docs/a.md")
    assert not modes[0].may_edit("a.py")
    assert [mode.slug for mode in BUILT_IN if mode.may_edit("a.py")] == ["code", "debug"]


@pytest.mark.parametrize(
    ("slug", "stage"),
    [
        ("implementation-core", "implementation"),
        ("validation-integration", "validation"),
        ("quality-security", "quality"),
        ("deployment-production", "integration"),
        ("planning-requirements", "planning"),
        ("time-tracking", None),
    ],
)
def test_a_slug_tells_its_stage(slug: str, stage: str | None):
    assert family(slug) == stage


def test_a_jump_over_stages_names_them_and_a_step_does_not():
    assert skipped_stages("implementation-core", "integration-commit") == ("validation", "quality")
    assert skipped_stages("implementation-core", "validation-unit") == ()
    assert skipped_stages("planning-analysis", "implementation-core") == ()
    assert skipped_stages("validation-unit", "implementation-core") == ()


def test_the_nearest_name_ignores_case_and_separators():
    assert nearest("Core_Implementation", ["implementation-core", "core-implementation"]) == (
        "core-implementation"
    )
    assert nearest("zzz", ["read", "edit"]) is None
