"""The known names that a mistyped one most likely means.

Case, spaces and underscores do not count, so that a display name finds its slug.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

# A sentence may guess more boldly than a fix, which changes the text to its guess.
_BOLD = 0.5
_SHOWN = 3
# So much alike, one is the other with a slip of the finger.
_TYPED = 0.8
# Shorter parts of a slug, such as `ui` or `a`, tell too little to be a guess of their own.
_TELLING = 4
# Among so many a guess takes a hundredth of a second, and a broken file needs a thousand.
_MOST = 300


def nearest(word: str, words: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The one known word that is most alike, None where none is near."""
    return next(iter(_alike(word, words, 1, cutoff)), None)


def guess(word: str, words: Iterable[str]) -> str | None:
    """The likeliest of the known words, by a slip of the finger or a part that only it has."""
    return next(iter(_alike(word, words, 1, _BOLD)), None)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """A sentence that names the likely ones, empty where none is near."""
    likely = " or ".join(f"`{each}`" for each in _alike(word, words, _SHOWN, _BOLD))
    return f"Did you mean {likely}?" if likely else ""


def _alike(word: str, words: Iterable[str], count: int, cutoff: float) -> list[str]:
    known = tuple(words)
    return _close(word, known, count, cutoff) if len(known) <= _MOST else []


# The same wrong word stands in many places, and stays there from keystroke to keystroke.
@lru_cache(maxsize=1024)
def _close(word: str, words: tuple[str, ...], count: int, cutoff: float) -> list[str]:
    folded: dict[str, str] = {}
    for known in words:
        folded.setdefault(_folded(known), known)
    wanted = _folded(word)
    close = get_close_matches(wanted, folded, count, cutoff)
    if cutoff <= _BOLD and not get_close_matches(wanted, close, 1, _TYPED):
        close = list(dict.fromkeys([*_sharing(wanted, folded), *close]))[:count]
    return [folded[each] for each in close]


def _sharing(wanted: str, words: Iterable[str]) -> list[str]:
    """The words that alone have a part of the wanted one: `validation-unit` for `unit-analysis`."""
    parts = {part for part in wanted.split("-") if len(part) >= _TELLING}
    holders = ([word for word in words if part in word.split("-")] for part in sorted(parts))
    return [found[0] for found in holders if len(found) == 1]


def _folded(word: str) -> str:
    return "-".join(word.casefold().replace("_", " ").replace("-", " ").split())
