"""Patterns that come from a caller."""

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.pattern import compile_pattern


def test_a_pattern_ignores_case_unless_asked_not_to():
    assert compile_pattern("todo").search("A TODO").span() == (2, 6)
    assert compile_pattern("todo", case_sensitive=True).search("A TODO") is None


def test_a_literal_pattern_has_no_special_characters():
    assert compile_pattern("a.(b", literal=True).search("é a.(b").span() == (2, 6)
    assert compile_pattern("a.c", literal=True).search("abc") is None


def test_offsets_are_code_points():
    assert [m.span() for m in compile_pattern("x").finditer("é😀x x")] == [(2, 3), (4, 5)]


@pytest.mark.parametrize(
    "pattern", ["", "(a", "(?=x)", r"\1", "x**", "\udc80", "a" * 10_001, ".{1,1000}.{1,1000}"]
)
def test_a_pattern_that_cannot_be_used_is_refused_in_a_sentence(pattern: str):
    with pytest.raises(SidecarError) as caught:
        compile_pattern(pattern)

    assert caught.value.code is ErrorCode.INVALID
    assert caught.value.message.startswith("The pattern ")
    assert caught.value.message.endswith(".")
    assert caught.value.hint


def test_a_pattern_that_hangs_backtracking_engines_answers_at_once():
    assert compile_pattern("(a+)+$").search("a" * 50_000 + "!") is None


def test_groups_cost_nothing():
    """Followed one by one, as a match with groups is, these would take minutes."""
    assert len(list(compile_pattern("(" * 500 + ")" * 500).finditer("a" * 20_000))) == 20_001
