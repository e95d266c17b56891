"""Which mode should take a task: judged by what each mode says it is for."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

_WORD = re.compile(r"[a-z]{3,}")
_STOP_WORDS = frozenset(
    {"the", "and", "for", "with", "this", "that", "from", "into", "when", "use", "used", "using"}
    | {"not", "all", "any", "are", "has", "have", "its", "mode", "modes", "task", "tasks", "agent"}
    | {"agents", "need", "needs", "should", "must", "will", "can", "you", "your", "also", "only"}
    | {"other", "etc", "include", "includes", "including"}
)
_SUFFIXES = ("ations", "ation", "ities", "ments", "ment", "ings", "ing", "ies", "ity", "ers", "er")
_SHORT_SUFFIXES = ("ed", "es", "s", "e", "y")
# What a mode says about when to use it tells more than its persona.
_WEIGHTS = {"whenToUse": 3.0, "description": 2.0, "name": 2.0, "role": 1.0}
SHOWN = 3


class Mode(Protocol):
    """What the choice reads of a mode."""

    @property
    def slug(self) -> str:
        """The mode's id."""

    @property
    def name(self) -> str:
        """The name shown to people."""

    @property
    def role_definition(self) -> str:
        """The persona."""

    @property
    def when_to_use(self) -> str | None:
        """What it is for, told to orchestrators."""

    @property
    def description(self) -> str | None:
        """What it is for, told to people."""


@dataclass(frozen=True)
class Choice:
    """One mode's fitness: higher is better, 0 is none, and the words that decided."""

    slug: str
    score: float
    reason: str


def ranked(task: str, modes: Sequence[Mode]) -> list[Choice]:
    """The modes that fit a task at all, the best first."""
    fields = {mode.slug: {k: set(_stems(v)) for k, v in _texts(mode).items()} for mode in modes}
    spread = Counter(stem for texts in fields.values() for stem in set().union(*texts.values()))
    wanted = dict.fromkeys(_stems(task))
    choices = (_judged(slug, texts, wanted, spread, len(modes)) for slug, texts in fields.items())
    return sorted((c for c in choices if c.score > 0), key=lambda c: (-c.score, c.slug))


def _texts(mode: Mode) -> dict[str, str]:
    return {
        "whenToUse": mode.when_to_use or "",
        "description": mode.description or "",
        "name": f"{mode.name} {mode.slug.replace('-', ' ')}",
        "role": mode.role_definition,
    }


def _judged(
    slug: str,
    texts: dict[str, set[str]],
    wanted: Iterable[str],
    spread: Counter[str],
    total: int,
) -> Choice:
    found: dict[str, list[str]] = {}
    score = 0.0
    for stem in wanted:
        place = next((field for field in _WEIGHTS if stem in texts[field]), None)
        if place is not None:
            score += _WEIGHTS[place] * math.log(1 + total / spread[stem])
            found.setdefault(place, []).append(stem)
    told = "; ".join(f"{place} shares {', '.join(words)}" for place, words in found.items())
    return Choice(slug, round(score, 2), told)


def _stems(text: str) -> Iterator[str]:
    for word in _WORD.findall(text.lower()):
        if word not in _STOP_WORDS:
            yield _stem(word)


def _stem(word: str) -> str:
    for suffix in (*_SUFFIXES, *_SHORT_SUFFIXES):
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return word.removesuffix(suffix)
    return word
