"""When a sidecar takes its package for renewed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.host.package import SETTLED_LOOKS, Package


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A package's first file."""
    file = tmp_path / "__init__.py"
    file.write_text("one")
    return file


def looks(package: Package, count: int) -> list[bool]:
    """What so many looks say."""
    return [package.is_renewed() for _ in range(count)]


def test_a_package_that_stays_is_not_renewed(first: Path):
    assert not any(looks(Package(str(first)), 10))


def test_a_package_that_is_taken_away_is_not_renewed(first: Path):
    package = Package(str(first))
    first.unlink()
    assert not any(looks(package, 10))


def test_another_one_counts_once_it_has_stayed_the_same(first: Path):
    package = Package(str(first))
    first.write_text("another")
    assert looks(package, SETTLED_LOOKS) == [False] * SETTLED_LOOKS
    first.write_text("and a third one")
    assert looks(package, SETTLED_LOOKS + 1) == [False] * SETTLED_LOOKS + [True]
