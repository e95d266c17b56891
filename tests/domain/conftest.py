"""Real texts and random changes of them, for the parsers' property tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

JUNK = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            "\t",
            "\n",
            "\r\n",
            "\r",
            "- [ ] ",
            "- []",
            "```",
            "<!--",
            "-->",
            "> ",
            "# ",
            "    ",
            "\x00",
            "\\",
            "\ufeff",
            "\u2028",
            "\x85",
            "<div>",
            "��a\x00b\x00",
            "2025-01-01T00:00:00Z",
            "---\n",
        ]
    ),
)


def mutate(draw: Callable, text: str) -> str:
    """The text after up to six random replacements of short stretches."""
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        text = text[:start] + draw(JUNK) + text[end:]
    return text


@pytest.fixture(scope="session")
def real_text(corpus: Path) -> Callable[[str], str]:
    """The text of one of the real workspace's files, by its name."""

    def read(name: str) -> str:
        return (corpus / "loop-orchestrator" / name).read_bytes().decode("utf-8")

    return read


@pytest.fixture(scope="session")
def mutated() -> Callable[[Callable, str], str]:
    """The function that changes a text at random."""
    return mutate
