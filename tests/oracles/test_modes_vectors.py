"""The loader agrees with the real one on every hand-written mode file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar.domain.modes import load

VECTORS = Path(__file__).parents[1] / "vectors" / "modes_vectors.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
SPELLINGS = {"no-customModes": "silent-empty"}

pytestmark = pytest.mark.oracle


def verdict(case: dict) -> str:
    """The vector's verdict in our spelling."""
    word = case["verdict"].partition("(")[0].strip()
    return SPELLINGS.get(word, word)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_loader_decides_loads_and_says_what_the_real_one_does(case: dict):
    result = load(case["text"])

    assert result.verdict == verdict(case)
    assert [dict(mode) for mode in result.modes] == case["loaded"]
    assert [(list(path), message) for path, message in result.issues] == [
        (issue["path"], issue["message"]) for issue in case["issues"]
    ]
    assert ([result.message] if result.message else []) == case["shown_to_user"]
