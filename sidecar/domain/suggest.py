"""The nearest of several names to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, words: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known word that a mistyped one most likely means, None where none is near.

    Case, spaces and underscores do not count, so that a display name finds its slug.
    """
    folded: dict[str, str] = {}
    for known in words:
        folded.setdefault(_folded(known), known)
    matches = get_close_matches(_folded(word), folded, n=1, cutoff=cutoff)
    return folded[matches[0]] if matches else None


def _folded(word: str) -> str:
    return "-".join(word.casefold().replace("_", " ").replace("-", " ").split())
