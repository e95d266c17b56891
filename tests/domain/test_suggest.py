"""Guesses at mistyped names."""

from __future__ import annotations

from sidecar.domain.suggest import did_you_mean, guess, nearest


def test_the_nearest_name_is_meant_whatever_its_case():
    """Spaces and underscores do not count either."""
    assert nearest("Quality_Securty", ["code", "quality-security"]) == "quality-security"
    assert nearest("xyz", ["code", "quality-security"]) is None


def test_nothing_is_guessed_among_very_many_names():
    """A broken file would be compared for minutes."""
    assert nearest("mode-1x", [f"mode-{number}" for number in range(5000)]) is None


def test_a_part_that_only_one_name_has_is_a_better_guess_than_likeness():
    """Slugs are compounds: who mixes them up remembers a part, and a slip is still a slip."""
    slugs = ["quality-audit", "planning-analysis-notes", "validation-unit", "implementation-code"]
    assert guess("unit-tests", slugs) == "validation-unit"
    assert guess("quality-audti", slugs) == "quality-audit"
    assert nearest("unit-tests", slugs) is None
    assert "`validation-unit`" in did_you_mean("unit-tests", slugs)
