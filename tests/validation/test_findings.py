"""What linters print becomes findings; a command that cannot run says so and is no failure."""

from __future__ import annotations

import pytest

from validation import findings


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a.py:1:8: F401 [*] `os` is not used", ("F401", "error", "`os` is not used", 1, 8)),
        ("src/b.py:3: error: No  [attr-defined]", ("attr-defined", "error", "No", 3, None)),
        ("src/b.py:3: note: See here", ("tool", "note", "See here", 3, None)),
        ("lib/c.c:7:2: warning: unused [-Wunused]", ("tool", "warning", None, 7, 2)),
        ("größe dir/d.ts:2:1: careful", ("tool", "error", "careful", 2, 1)),
    ],
)
def test_a_printed_place_is_a_finding(line: str, expected):
    found = list(findings.read(f"Checking\n{line}\nFound 1 error.\n", "tool"))

    rule, level, message, number, column = expected
    assert [(f.rule, f.level, f.line, f.column) for f in found] == [(rule, level, number, column)]
    assert message is None or found[0].message == message


def test_prose_and_times_are_no_findings():
    text = "Started at 12:30:10: all is well\nhttp://host.example:80: gone\nSee docs: 3 pages\n"

    assert list(findings.read(text, "tool")) == []


def test_a_flood_of_findings_is_cut():
    text = "".join(f"a.py:{n}:1: E1 wrong\n" for n in range(1, 3000))

    assert len(list(findings.read(text, "tool"))) == findings.MOST


def test_a_command_that_ends_with_77_could_not_run_for_the_reason_it_gave(project, validate):
    plan = """
        [[tool.sidecar.validation.stage]]
        name = "editor"
        category = "editors"
        command = ["{python}", "-c", "print('not run: no editor is here'); raise SystemExit(77)"]
    """
    answer = validate(project({"pyproject.toml": plan}), category="editors")

    assert answer.category("editors")["verdict"] == "not run"
    assert answer.category("editors")["reasons"] == ["It could not run here: no editor is here."]
    assert (answer.code, answer.report["verdict"]) == (3, "incomplete")
