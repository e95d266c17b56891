"""Guesses at mistyped names."""

from __future__ import annotations

from sidecar.domain.suggest import nearest


def test_the_nearest_name_is_meant_whatever_its_case():
    """Spaces and underscores do not count either."""
    assert nearest("Quality_Securty", ["code", "quality-security"]) == "quality-security"
    assert nearest("xyz", ["code", "quality-security"]) is None


def test_nothing_is_guessed_among_very_many_names():
    """A broken file would be compared for minutes."""
    assert nearest("mode-1x", [f"mode-{number}" for number in range(5000)]) is None
