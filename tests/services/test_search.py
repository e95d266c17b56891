"""Listing and searching the workspace."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services import proposals
from sidecar.services.context import Context
from sidecar.services.lines import LineSearch, split_lines
from sidecar.services.search import (
    ListProjectStructure,
    SearchInFiles,
    list_project_structure,
    search_in_files,
)
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace


@pytest.fixture
def here(tmp_path: Path) -> Context:
    folder = tmp_path / "ws"
    for name, text in {
        "README.md": "needle one\nneedle needle\n",
        "src/a.py": "def Needle():\n    return 'needles'\n",
        "src/deep/b.txt": "before\nneedle\r\nafter\n",
        "build/out.txt": "needle\n",
        ".roo/schedules.json": '{"needle": 1}\n',
        ".env": "needle\n",
        ".git/config": "needle\n",
        ".gitignore": "/build/\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
    (folder / "data.bin").write_bytes(b"\0needle\n")
    (folder / "latin.txt").write_bytes(b"caf\xe9 needle\n")
    (folder.parent / "outside.txt").write_text("needle\n")
    (folder / "link.txt").symlink_to("../outside.txt")
    (folder / "up").symlink_to("..")
    return Context(Workspace.open(folder), Settings())


def listed(context: Context, **arguments) -> ListProjectStructure:
    return list_project_structure.call(context, arguments)


def never() -> bool:
    """Time that is never over."""
    return False


def searched(context: Context, pattern: str, **arguments) -> SearchInFiles:
    return search_in_files.call(context, {"pattern": pattern, **arguments})


def places(found: SearchInFiles) -> list[tuple[str, int | None]]:
    return [(match.file, match.line_number) for match in found.matches]


def test_a_listing_shows_links_and_hides_what_is_hidden_ignored_or_secret(here: Context):
    found = listed(here)

    assert [(e.path, e.type) for e in found.entries] == [
        ("README.md", "file"), ("data.bin", "file"), ("latin.txt", "file"),
        ("link.txt", "symlink"), ("src", "directory"), ("src/a.py", "file"),
        ("src/deep", "directory"), ("src/deep/b.txt", "file"), ("up", "symlink"),
    ]  # fmt: skip
    assert (found.total_items, found.files, found.directories) == (9, 5, 2)


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ({"file_pattern": "*.py"}, ["src/a.py"]),
        ({"file_pattern": "src/**/*.txt"}, ["src/deep/b.txt"]),
        ({"directory": "src", "file_pattern": "deep/*"}, ["src/deep/b.txt"]),
        ({"directory": "src", "max_depth": 0}, ["src/a.py", "src/deep"]),
        ({"directory": "src", "recursive": False, "include_directories": False}, ["src/a.py"]),
        ({"directory": "src", "include_directories": False}, ["src/a.py", "src/deep/b.txt"]),
        ({"directory": "src", "include_files": False}, ["src/deep"]),
        ({"directory": "src", "exclude_patterns": ["deep/"]}, ["src/a.py"]),
        ({"directory": "build"}, ["build/out.txt"]),
        ({"directory": ".roo"}, [".roo/schedules.json"]),
    ],
)
def test_patterns_and_depth_choose_the_entries(here: Context, arguments: dict, paths: list[str]):
    assert [entry.path for entry in listed(here, **arguments).entries] == paths


def test_a_name_that_is_not_utf8_can_still_be_told(here: Context):
    folder = os.fsencode(here.workspace.root)
    try:
        os.close(os.open(folder + b"/src/caf\xe9.txt", os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")

    told = listed(here, directory="src").model_dump_json()

    assert "caf\ufffd.txt" in told
    assert searched(here, "needle", directory="src").total_matches == 3


def test_a_very_deep_tree_is_cut_and_said_so(here: Context):
    folder = here.workspace.root / "deep"
    for _ in range(70):
        folder = folder / "d"
    folder.mkdir(parents=True)

    assert "deep" in (listed(here, directory="deep").truncated or "")


def test_the_pages_of_a_listing_are_the_listing(here: Context):
    whole = [entry.path for entry in listed(here).entries]
    pages, cursor = [], None
    while True:
        page = listed(here, limit=2, cursor=cursor)
        pages += [entry.path for entry in page.entries]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert pages == whole
    assert page.total_items == len(whole)


@pytest.mark.parametrize("directory", ["..", "/etc", "up", "up/ws", ".git", "../../etc"])
@pytest.mark.parametrize("call", [listed, lambda c, **a: searched(c, "needle", **a)])
def test_a_folder_outside_or_protected_is_refused(here: Context, call, directory: str):
    with pytest.raises(SidecarError) as refused:
        call(here, directory=directory)

    assert refused.value.code in {ErrorCode.PATH_OUTSIDE, ErrorCode.PROTECTED}


def test_every_match_of_every_text_file_is_found_in_order(here: Context):
    found = searched(here, "needle", case_sensitive=True)

    assert places(found) == [
        (".roo/schedules.json", 1), ("README.md", 1), ("README.md", 2), ("README.md", 2),
        ("latin.txt", 1), ("src/a.py", 2), ("src/deep/b.txt", 2),
    ]  # fmt: skip
    assert (found.total_matches, found.truncated, found.next_cursor) == (7, None, None)


def test_case_whole_words_and_literals(here: Context):
    (here.workspace.root / "w.txt").write_text("a.b axb überneedle needle_x (needle)\n")
    one = {"file_pattern": "w.txt"}

    assert searched(here, "a.b", **one).total_matches == 2
    assert searched(here, "a.b", regex=False, **one).total_matches == 1
    assert searched(here, "needle", whole_word=True, **one).total_matches == 1
    assert searched(here, "NEEDLE", **one).total_matches == 3
    assert searched(here, "NEEDLE", case_sensitive=True, **one).total_matches == 0
    assert searched(here, "(needle)", regex=False, whole_word=True, **one).total_matches == 1
    assert searched(here, "a|axb", whole_word=True, **one).total_matches == 2


def test_context_and_columns_are_those_of_the_line(here: Context):
    match = searched(here, "needle", directory="src/deep", context_lines=1).matches[0]

    assert match.context == ["1: before", "3: after"]
    assert match.line_content[match.match_start : match.match_end] == match.match_text == "needle"
    unnumbered = searched(here, "needle", directory="src/deep", include_line_numbers=False)
    assert unnumbered.matches[0].line_number is None


def test_the_pages_of_a_search_are_the_search(here: Context):
    whole = places(searched(here, "needle"))
    pages, cursor = [], None
    while True:
        page = searched(here, "needle", max_matches=3, cursor=cursor)
        assert page.total_matches == len(whole)
        pages += places(page)
        cursor = page.next_cursor
        if cursor is None:
            break

    assert pages == whole


def test_nothing_found_is_a_success(here: Context):
    found = searched(here, "no such text anywhere")

    assert (found.success, found.total_matches, found.matches) == (True, 0, [])


@pytest.mark.parametrize("pattern", ["(a+)+$", "(.*)*(.*)*x", "(a|a)*b", "(a*)*(a*)*$"])
def test_a_catastrophic_pattern_answers_at_once(here: Context, pattern: str):
    (here.workspace.root / "a.txt").write_text("a" * 5000 + "c\n")
    began = time.monotonic()

    searched(here, pattern)
    listed(here, file_pattern="*a" * 8 + "b", exclude_patterns=["*a" * 8 + "b"])

    assert time.monotonic() - began < 5


@pytest.mark.parametrize("pattern", ["(", "a{2000}", "(?=x)", r"\1", "x" * 20_000])
def test_a_pattern_that_cannot_be_run_is_refused(here: Context, pattern: str):
    with pytest.raises(SidecarError) as refused:
        searched(here, pattern)

    assert refused.value.code is ErrorCode.INVALID


def test_a_cursor_that_is_not_ours_is_refused(here: Context):
    with pytest.raises(SidecarError) as refused:
        searched(here, "needle", cursor="-1")

    assert refused.value.code is ErrorCode.INVALID


def test_a_very_long_line_is_shown_around_the_match(here: Context):
    (here.workspace.root / "long.txt").write_text("x" * 100_000 + "needle" + "y" * 100_000)
    match = searched(here, "needle", file_pattern="long.txt").matches[0]

    assert len(match.line_content) == 300
    assert match.line_content[match.match_start : match.match_end] == "needle"


def test_a_file_too_large_to_search_is_said(here: Context):
    with (here.workspace.root / "huge.txt").open("wb") as file:
        file.truncate(20_000_000)

    assert "1 files over" in (searched(here, "needle").truncated or "")


def test_matches_beyond_counting_are_said_to_be(here: Context):
    (here.workspace.root / "many.txt").write_text(f"{'a' * 20_000}\n" * 3)
    result = searched(here, "a", file_pattern="many.txt", max_matches=1)

    assert (result.total_matches, len(result.matches)) == (50_000, 1)
    assert "first 50,000 matches" in (result.truncated or "")


def test_a_search_ends_when_its_time_is_over_even_in_one_line():
    asked = iter([False, False, True])
    search = LineSearch("b*", regex=True, case_sensitive=True, whole_word=False)

    assert list(search.matches(["a" * 50_000], lambda: next(asked))) == []


PATTERNS = [
    "needle", "Needle", r"n\w+e", r"\d", r"\bneedle\b", "^needle", "needle$", r"\s", "[a-n]+e",
    "(one|after)", r"caf\w?", "é", "ſ", "K", r"\(", r"\.", "nee?dle", r"'needles?'", r"^$", "one$",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("case_sensitive", [True, False])
@pytest.mark.parametrize("regex", [True, False])
def test_ripgrep_proposes_every_file_in_which_re2_finds_something(
    here: Context, pattern: str, case_sensitive: bool, regex: bool
):
    if proposals.executable() is None:
        pytest.skip("ripgrep is not installed")
    (here.workspace.root / "u.txt").write_text("ſ k K É é ٣ \u00a0\u2003 ñeedle\n\n")
    root = here.workspace.root
    search = LineSearch(pattern, regex=regex, case_sensitive=case_sensitive, whole_word=False)
    names = ["README.md", "src/a.py", "src/deep/b.txt", "latin.txt", "u.txt"]
    proposed = proposals.proposed(root, names, pattern, regex=regex, case_sensitive=case_sensitive)
    texts = {name: (root / name).read_bytes().decode("utf-8", "replace") for name in names}
    found = {name for name, text in texts.items() if any(search.matches(split_lines(text), never))}

    assert proposed is not None
    assert found <= proposed


def test_more_names_than_a_command_line_holds_are_asked_for_in_turn(here: Context):
    if proposals.executable() is None:
        pytest.skip("ripgrep is not installed")
    root = here.workspace.root
    names = [f"{'n' * 200}{number}.txt" for number in range(3000)]
    for number, name in enumerate(names):
        (root / name).write_text("x" if number % 100 else "needle")
    (root / "-e").write_text("needle")

    proposed = proposals.proposed(root, [*names, "-e"], "needle", regex=True, case_sensitive=True)

    assert proposed == {*names[::100], "-e"}


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of POSIX")
def test_an_ignore_file_that_is_a_pipe_delays_no_search(here: Context):
    """Ripgrep would wait for it until it is killed, and every file would be read."""
    root = here.workspace.root
    os.mkfifo(root / "src" / ".gitignore")
    paths = ["README.md", "src/a.py"]

    assert proposals.proposed(root, paths, "needle", regex=True, case_sensitive=True) is not None


@pytest.mark.parametrize("pattern", ["a.c", "[^a]", "(?i)a", r"\W", r"\pL", "[[:alpha:]]", r"[\w]"])
def test_where_the_engines_differ_every_file_is_read(pattern: str):
    assert proposals.translated(pattern) is None


@given(
    st.lists(st.text(alphabet="ab \r", max_size=6), max_size=5),
    st.sampled_from(["a", "b$", "^a", "a*", r"a\s", "^$", "(?i)A", r"\Aa", "a|^b"]),
)
def test_looking_at_the_whole_text_first_changes_no_match(lines: list[str], pattern: str):
    search = LineSearch(pattern, regex=True, case_sensitive=True, whole_word=False)
    found = list(search.matches(lines, never))
    search._text = None

    assert found == list(search.matches(lines, never))
