"""What the rules of mode files do beyond their pages' examples."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sidecar.domain.edit import apply_edits
from sidecar.domain.finding import Finding, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.modes import load, parse
from sidecar.domain.project import Project
from sidecar.rules.registry import check

PROJECT = Project(datetime(2025, 5, 1, tzinfo=UTC), ZoneInfo("UTC"))
VECTORS = Path(__file__).parents[1] / "vectors" / "modes_vectors.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
SUMMARIES = {"RM001", "RM003"}


def findings(text: str, *, path: str = ".roomodes", product: str = "roo") -> list[Finding]:
    return check(Kind.MODES, parse(text, path=path, product=product), PROJECT)


def codes(text: str, **named: str) -> list[str]:
    return [finding.code for finding in findings(text, **named)]


def mode(groups: str = "[read]", extra: str = "", slug: str = "docs") -> str:
    """A mode file with one mode."""
    return (
        f"customModes:\n  - slug: {slug}\n    name: Docs\n    roleDefinition: You write.\n"
        f"    groups: {groups}\n{extra}"
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_file_has_an_error_of_its_own_exactly_where_the_product_loads_nothing(case: dict):
    errors = [f for f in findings(case["text"]) if f.severity is Severity.ERROR]
    own = [finding for finding in errors if finding.code not in SUMMARIES]

    assert bool(own) == (load(case["text"]).verdict != "valid")


@pytest.mark.parametrize(
    "line",
    [
        "roleDefinition: You write docs: guides",
        "roleDefinition: You're here: don't \"move\"",
        'roleDefinition: "say "hi""',
        "roleDefinition: 'It's'",
        "roleDefinition: @you",
        'roleDefinition: "\\d+"',
        'roleDefinition: "x"#y',
        'roleDefinition: "a “b”"',
        "roleDefinition: 'It’s'",
        "roleDefinition: — you",
        "roleDefinition: - you",
    ],
)
def test_the_fixes_of_a_broken_text_make_the_file_load(line: str):
    text = mode().replace("roleDefinition: You write.", line)
    assert load(text).verdict == "yaml-error"

    fixes = [fix for finding in findings(text) for fix in finding.fixes]

    assert load(apply_edits(text, fixes[0].edits)).verdict == "valid"


@pytest.mark.parametrize(
    ("groups", "after"),
    [
        ("[read, write]", ["read", "edit"]),
        ("[read, Command]", ["read", "command"]),
        ("[read, read]", ["read"]),
        ("[read, browser, browser]", ["read"]),
        ("[[edit]]", ["edit"]),
        ("[{edit: {fileRegex: 'a$'}}]", [["edit", {"fileRegex": "a$"}]]),
        ("[[edit, 'a$']]", [["edit", {"fileRegex": "a$"}]]),
        (
            "[[edit, {fileRegex: a}, {description: b}]]",
            [["edit", {"fileRegex": "a", "description": "b"}]],
        ),
        ("[[edit, {fileRegex: '**/*.md'}]]", [["edit", {"fileRegex": r"\.md$"}]]),
        ("[[edit, {fileRegex: '(?i)a'}]]", [["edit", {"fileRegex": "a"}]]),
        ("[[edit, {fileRegex: '(?P<n>a)'}]]", [["edit", {"fileRegex": "(?<n>a)"}]]),
        ("read, edit", ["read", "edit"]),
        ("", []),
        ("\n      - browser", []),
        ("\n      - read\n      - browser", ["read"]),
        ("\n    - browser", []),
    ],
)
def test_fixing_the_tool_groups_gives_the_groups_that_were_meant(groups: str, after: list):
    text = mode(groups)
    for _ in range(3):
        fixes = [fix for finding in findings(text) for fix in finding.fixes]
        if not fixes:
            break
        text = apply_edits(text, fixes[0].edits)

    loaded = load(text)
    assert loaded.verdict == "valid"
    assert loaded.modes[0]["groups"] == after


@pytest.mark.parametrize("field", ["slug", "name", "roleDefinition", "groups"])
@pytest.mark.parametrize("flow", [False, True])
def test_a_missing_field_is_inserted_so_that_the_file_loads(field: str, *, flow: bool):
    fields = {"slug": "docs", "name": "Docs", "roleDefinition": "You write.", "groups": ["read"]}
    del fields[field]
    text = json.dumps({"customModes": [fields]})
    if not flow:
        lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
        text = "customModes:\n  - " + "\n    ".join(lines) + "\n"
    (finding,) = [finding for finding in findings(text) if finding.code == "RM007"]

    after = apply_edits(text, finding.fixes[0].edits)

    assert load(after).verdict == "valid", after
    assert not finding.fixes[0].safe


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    roleDefinition", "     roleDefinition"),
        ("    roleDefinition", "      roleDefinition"),
        ("- slug", "-slug"),
        ("- slug: docs", "-slug:   docs"),
    ],
)
def test_a_slip_of_the_indentation_is_told_as_one_and_no_text_is_swallowed(before, after):
    text = mode().replace(before, after)
    own = [finding for finding in findings(text) if finding.code not in SUMMARIES]

    assert [finding.code for finding in own] == ["RM002"]
    assert "indented" in own[0].message or "behind the dash" in own[0].message
    assert load(apply_edits(text, own[0].fixes[0].edits)).verdict == "valid"


@pytest.mark.parametrize("mark", ["```", ">>>>>>> branch"])
def test_what_stands_around_a_file_by_mistake_is_never_quoted(mark: str):
    fixes = [fix for finding in findings(f"{mode()}{mark}\n") for fix in finding.fixes]

    assert not [edit for fix in fixes for edit in fix.edits if "'" in edit.text]


def test_one_cause_gives_one_error_beside_the_summary():
    text = mode("[read, nope]")

    assert codes(text) == ["RM001", "RM006"]


def test_findings_of_other_modes_stay_when_one_mode_is_broken():
    text = mode("[read, nope]") + "  - slug: two\n    name: a: b\n    roleDefinition: x\n"
    found = codes(text)

    assert "RM005" in found
    assert "RM006" in found
    assert "RM007" not in found


def test_json_that_only_the_fallback_reads_has_no_syntax_error():
    text = '{"customModes": [{"slug": "a", "name": "“A”", "roleDefinition": "x", "groups": []}]}'

    assert load(text).verdict == "valid"
    assert codes(text) == []


@pytest.mark.parametrize(
    ("path", "product", "found"),
    [
        (".roomodes", "roo", False),
        ("sub/.roomodes", "roo", True),
        (".roo/.roomodes", "roo", True),
        (".bob/custom_modes.yaml", "bob", False),
        (".zoomodes", "zoo", False),
        ("/home/me/settings/custom_modes.yaml", "roo", False),
    ],
)
def test_a_file_is_in_its_place_or_not(path: str, product: str, *, found: bool):
    assert ("RM024" in codes(mode(), path=path, product=product)) is found


def test_each_product_is_judged_by_its_own_groups():
    text = mode("[read, browser, web]")

    assert codes(text) == ["RM001", "RM016", "RM006"]
    assert codes(text, path=".zoomodes", product="zoo") == ["RM016"]
    assert codes(text, path=".kilocodemodes", product="kilo") == ["RM001", "RM006"]


def test_the_summary_counts_modes_and_problems():
    text = mode("[nope]") + "  - slug: docs\n    name: Two\n    roleDefinition: x\n    groups: []\n"
    (summary,) = [finding for finding in findings(text) if finding.code == "RM001"]

    assert "0 of 2 modes because of 1 problem " in summary.message


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "[]", "null", "x", "---\n"])
def test_a_file_without_modes_says_so_once(text: str):
    assert codes(text) == ["RM004"]
