"""Putting a file in another's place, and what happens when a third comes between."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sidecar.workspace import replacing
from sidecar.workspace.directories import DescriptorDirectory
from sidecar.workspace.replacing import ForeignWriterError


@dataclass(frozen=True, slots=True)
class Interrupted(DescriptorDirectory):
    """A folder in which other programs act just before our exchanges, one act each."""

    acts: list[Callable[[], object]] = field(default_factory=list)

    def exchange(self, source: str, name: str) -> bool:
        if self.acts:
            self.acts.pop(0)()
        return DescriptorDirectory(self.descriptor).exchange(source, name)


class OldSystem(DescriptorDirectory):
    """A folder of a system without an exchange of names."""

    def exchange(self, source: str, name: str) -> bool:  # noqa: ARG002
        return False


@pytest.fixture
def descriptor(root: Path) -> Iterator[int]:
    (root / "file").write_text("old")
    opened = os.open(root, os.O_RDONLY)
    yield opened
    os.close(opened)


def saved(root: Path, text: str) -> None:
    (root / "editor.tmp").write_text(text)
    (root / "editor.tmp").replace(root / "file")


def swapped(directory: DescriptorDirectory) -> str:
    expected = replacing.stamp_of(directory, "file")
    temporary = replacing.prepare(directory, b"ours", directory.status("file"))
    replacing.swap(directory, temporary, "file", expected)
    return temporary


def test_an_expected_file_is_replaced_and_gone(root: Path, descriptor: int):
    for kind in (DescriptorDirectory, OldSystem):
        (root / "file").write_text("old")
        swapped(kind(descriptor))

        assert (root / "file").read_text() == "ours"
        assert [path.name for path in root.iterdir()] == ["file"]


@pytest.mark.parametrize("saves", [1, 2, 3, 4])
def test_the_newest_save_that_came_between_stands_in_the_end(
    root: Path, descriptor: int, saves: int
):
    acts = [lambda number=number: saved(root, f"save {number}") for number in range(saves)]

    with pytest.raises(ForeignWriterError):
        swapped(Interrupted(descriptor, acts))

    assert (root / "file").read_text() == f"save {saves - 1}"


def test_a_file_deleted_in_between_is_noticed(root: Path, descriptor: int):
    with pytest.raises(ForeignWriterError):
        swapped(Interrupted(descriptor, [(root / "file").unlink]))

    assert not (root / "file").exists()
