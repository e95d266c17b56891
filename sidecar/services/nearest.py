"""The known names that a wrong one probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """Up to ``count`` known names that resemble ``name``, the most alike first."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the likely ones, empty where nothing resembles ``name``."""
    likely = nearest(name, known)
    return f"Did you mean {' or '.join(f'`{each}`' for each in likely)}?" if likely else ""
