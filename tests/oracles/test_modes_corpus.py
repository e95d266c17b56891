"""The loader agrees with the real one on real mode files, and the rules are precise there."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sidecar.domain.finding import Severity
from sidecar.domain.kind import Kind
from sidecar.domain.modes import parse
from sidecar.domain.project import Project
from sidecar.rules.registry import check

SPELLINGS = {
    "schema-error(all rejected)": "schema-error",
    "no-customModes(silent empty)": "silent-empty",
}
PROJECT = Project(datetime(2025, 5, 1, tzinfo=UTC), ZoneInfo("UTC"))

pytestmark = pytest.mark.oracle


def files(corpus: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Each file of the corpus with its row of verdicts."""
    with (corpus / "verdicts.tsv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["kind"] == "modes":
                data = (corpus / row["file"]).read_bytes()
                yield row, data.decode("utf-8", "replace")


def test_every_verdict_and_number_of_loaded_modes_is_the_real_one(corpus: Path):
    wrong = []
    total = 0
    for row, text in files(corpus):
        total += 1
        result = parse(text).load
        expected = SPELLINGS.get(row["verdict"], row["verdict"])
        if (result.verdict, len(result.modes)) != (expected, int(row["modes_loaded"] or 0)):
            wrong.append((row["file"], expected, result.verdict))

    assert total == 116
    assert wrong == []


def test_files_that_load_have_no_error_and_all_others_have_one(corpus: Path):
    for row, text in files(corpus):
        file = parse(text)
        errors = [f for f in check(Kind.MODES, file, PROJECT) if f.severity is Severity.ERROR]
        own = [finding for finding in errors if finding.code.startswith("RM")]

        assert bool(own) == (file.load.verdict != "valid"), row["file"]


def test_every_mode_of_a_file_that_loads_is_made_out(corpus: Path):
    for row, text in files(corpus):
        file = parse(text)
        if file.load.verdict == "valid":
            assert [mode.slug for mode in file.modes] == [m.slug for m in file.load.modes]
            assert file.total == int(row["modes_in_file"])


def test_the_product_names_the_same_line_for_nearly_every_yaml_error(corpus: Path):
    lines = [
        (row["yaml_error_line"], str(parse(text).load.line))
        for row, text in files(corpus)
        if row["verdict"] == "yaml-error"
    ]

    assert sum(expected == found for expected, found in lines) >= 23
    assert len(lines) == 25
