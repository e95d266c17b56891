"""The quick ones of the planted defects; `make planted` plants all ten."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted import run as planted

QUICK = [
    d for d in planted.DEFECTS if d.name in ("broken import contract", "wrong verdict of a rule")
]


def test_a_planted_defect_makes_its_category_fail(tmp_path: Path):
    root = planted.copy(tmp_path)
    for defect in QUICK:
        good, told = planted.found(defect, root, tmp_path / "report.json")
        assert good, f"{defect.name}: {told}"


@pytest.mark.parametrize("defect", planted.DEFECTS, ids=lambda defect: defect.name)
def test_each_defect_can_be_planted(defect: planted.Defect):
    text = (planted.REPOSITORY / defect.file).read_text(encoding="utf-8")

    assert defect.old in text
    assert defect.new not in text or not defect.new


def test_there_are_ten_of_them():
    assert len({defect.name for defect in planted.DEFECTS}) == 10
