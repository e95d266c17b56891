"""Marks of an unfinished merge: told as what they are, with both ways out."""

import pytest

from sidecar.domain import yaml
from sidecar.domain.conflict import KIND, conflicts, explained
from sidecar.domain.edit import apply_edits

MERGED = """\
customModes:
<<<<<<< HEAD
  - slug: ours
||||||| base
  - slug: base
=======
  - slug: theirs
>>>>>>> a branch
    name: One
"""


def judge(text: str):
    return yaml.parse(text).problems


def test_a_conflict_is_one_problem_and_each_side_can_be_kept():
    problems = explained(MERGED, judge(MERGED), judge)
    assert [problem.kind for problem in problems] == [KIND]
    kept = [apply_edits(MERGED, fix.edits) for fix in problems[0].fixes]
    assert kept == [
        f"customModes:\n  - slug: {side}\n    name: One\n" for side in ("ours", "theirs")
    ]
    assert [judge(text) for text in kept] == [(), ()]
    assert not any(fix.safe for fix in problems[0].fixes), "which side is right only a person knows"


def test_what_else_is_wrong_is_told_at_its_own_place():
    text = MERGED + '    groups: ["read"\n'
    problems = explained(text, judge(text), judge)
    assert text.count("\n", 0, problems[0].span.start) == 1
    assert len(problems) > 1
    assert all(problem.span.start >= len(MERGED) for problem in problems[1:])


def test_two_conflicts_are_two_problems_whatever_ends_their_lines():
    text = (MERGED + "<<<<<<< HEAD\n    groups: []\n=======\n>>>>>>> b\n").replace("\n", "\r\n")
    assert len(conflicts(text)) == 2
    assert [problem.kind for problem in explained(text, judge(text), judge)] == [KIND, KIND]


def test_a_valid_text_that_shows_marks_has_no_problem():
    text = "a: |\n" + "".join(f"  {line}\n" for line in MERGED.splitlines())
    assert explained(text, judge(text), judge) == ()


def test_half_a_conflict_leaves_the_problems_as_they_are():
    text = MERGED.replace("=======\n", "")
    assert explained(text, judge(text), judge) == judge(text)


def test_the_mark_that_begins_it_is_underlined_with_the_sides_name():
    (problem,) = explained(MERGED, judge(MERGED), judge)
    assert MERGED[problem.span.start : problem.span.end] == "<<<<<<< HEAD"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("b" * 40, "b" * 40), ("b" * 41, "b" * 39 + "…"), ("b" * 99, "b" * 39 + "…")],
)
def test_a_sides_name_is_shown_up_to_forty_characters(name: str, shown: str):
    text = MERGED.replace("HEAD", name)
    (problem,) = explained(text, judge(text), judge)
    assert f"between `{shown}` and `a branch`" in problem.message
    assert problem.fixes[0].title == f"Keep the side of `{shown}`"
