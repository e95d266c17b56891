"""Reading and writing project files as agents do."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context
from sidecar.services.files import (
    ReadProjectFile,
    WriteProjectFile,
    read_project_file,
    write_project_file,
)
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace


@pytest.fixture
def here(tmp_path: Path) -> Context:
    folder = tmp_path / "ws"
    folder.mkdir()
    return Context(Workspace.open(folder), Settings())


def read(context: Context, path: str, **arguments) -> ReadProjectFile:
    return read_project_file.call(context, {"file_path": path, **arguments})


def write(context: Context, path: str, content: str, **arguments) -> WriteProjectFile:
    return write_project_file.call(context, {"file_path": path, "content": content, **arguments})


def test_line_ends_and_byte_order_mark_are_read_as_stored(here: Context):
    (here.workspace.root / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")

    assert read(here, "a.txt").content == "\ufeffone\r\ntwo\n"


@given(
    text=st.text(alphabet="aé€😀\r\n", max_size=60), step=st.integers(4, 20), by_line=st.booleans()
)
def test_the_pages_of_a_file_joined_are_the_file(tmp_path_factory, text, step, by_line):
    root = tmp_path_factory.mktemp("ws")
    (root / "a.txt").write_bytes(text.encode())
    context = Context(Workspace.open(root), Settings())
    unit = {"unit": "line", "limit": 2} if by_line else {"unit": "byte", "limit": step}
    pages, offset = [], 0
    while offset is not None:
        page = read(context, "a.txt", offset=offset, **unit)
        pages.append(page.content)
        offset = page.next_offset

    assert "".join(pages) == text


def test_a_large_file_comes_in_pages_of_whole_lines(here: Context):
    (here.workspace.root / "a.txt").write_text("x" * 99 + "\n" + "y" * 50)
    context = Context(here.workspace, Settings(max_read_bytes=120))

    first = read(context, "a.txt")
    rest = read(context, "a.txt", offset=first.next_offset)

    assert (first.truncated, first.content) == (True, "x" * 99 + "\n")
    assert (rest.truncated, rest.content) == (False, "y" * 50)
    assert "offset 1" in first.summary()


def test_a_line_over_the_page_is_read_by_bytes(here: Context):
    (here.workspace.root / "a.txt").write_text("x" * 200)
    context = Context(here.workspace, Settings(max_read_bytes=100))

    with pytest.raises(SidecarError) as refused:
        read(context, "a.txt")

    assert refused.value.code is ErrorCode.TOO_LARGE
    assert read(context, "a.txt", unit="byte").next_offset == 100


def test_a_binary_file_is_refused_as_text_and_given_as_base64(here: Context):
    data = b"\x89PNG\r\n\x1a\n\0\xff"
    (here.workspace.root / "a.png").write_bytes(data)

    with pytest.raises(SidecarError, match="image/png") as refused:
        read(here, "a.png")

    assert "as_base64" in refused.value.hint
    assert base64.b64decode(read(here, "a.png", as_base64=True).content) == data


@pytest.mark.parametrize("encoding", ["zip", "no-such", "hex", "rot13"])
def test_what_is_no_text_encoding_is_refused(here: Context, encoding: str):
    (here.workspace.root / "a.txt").write_text("a")

    with pytest.raises(SidecarError) as refused:
        read(here, "a.txt", encoding=encoding)

    assert refused.value.code is ErrorCode.INVALID


def test_a_size_limit_refuses_the_whole_file(here: Context):
    (here.workspace.root / "a.txt").write_text("x" * 2000)

    with pytest.raises(SidecarError) as refused:
        read(here, "a.txt", max_size_mb=0.001)

    assert refused.value.code is ErrorCode.TOO_LARGE


def test_the_unsaved_text_of_an_editor_is_read_and_not_written_over(here: Context):
    (here.workspace.root / "a.txt").write_text("disk")
    here.workspace.overlays.put("a.txt", "editor", 1)

    page = read(here, "a.txt")
    with pytest.raises(SidecarError) as refused:
        write(here, "a.txt", "ours")

    assert (page.source, page.content) == ("editor", "editor")
    assert refused.value.code is ErrorCode.CONFLICT
    assert (here.workspace.root / "a.txt").read_text() == "disk"


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (None, "one", (1, 0)),
        (None, "one\ntwo\n", (2, 0)),
        (None, "", (0, 0)),
        ("one\n", "", (0, 1)),
        ("one\n", "one", (1, 1)),
        ("one\n", "one\ntwo\n", (1, 0)),
    ],
)
def test_a_write_counts_the_lines_that_it_adds_and_removes(here: Context, before, after, counts):
    if before is not None:
        write(here, "a.txt", before)

    done = write(here, "a.txt", after)

    assert (done.lines_added, done.lines_removed) == counts


def test_the_etag_of_a_read_guards_the_write(here: Context):
    write(here, "a.txt", "one\n")
    etag = read(here, "a.txt").etag
    done = write(here, "a.txt", "two\n", if_match=etag)

    with pytest.raises(SidecarError) as refused:
        write(here, "a.txt", "three\n", if_match=etag)

    assert (done.operation, done.lines_added, done.lines_removed) == ("replaced", 1, 1)
    assert refused.value.code is ErrorCode.CONFLICT
    assert done.etag in refused.value.message
    assert (here.workspace.root / "a.txt").read_text() == "two\n"


def test_a_replaced_file_has_a_backup_of_what_was_there(here: Context):
    write(here, "a.txt", "one")
    done = write(here, "a.txt", "two")
    backup = here.workspace.backups.find("a.txt", done.backup_id or "")

    assert here.workspace.backups.read(backup) == b"one"
    assert write(here, "a.txt", "three", create_backup=False).backup_id is None


def test_text_that_the_encoding_lacks_leaves_the_file_alone(here: Context):
    write(here, "a.txt", "kept")

    with pytest.raises(SidecarError) as refused:
        write(here, "a.txt", "€", encoding="latin-1")

    assert refused.value.code is ErrorCode.INVALID
    assert (here.workspace.root / "a.txt").read_text() == "kept"


def test_an_append_adds_exactly_the_content(here: Context):
    write(here, "a.txt", "one")
    done = write(here, "a.txt", "two", append=True)

    assert (here.workspace.root / "a.txt").read_text() == "onetwo"
    assert (done.operation, done.size, done.etag) == ("appended", 6, read(here, "a.txt").etag)


def test_a_dry_run_shows_the_diff_and_changes_nothing(here: Context):
    write(here, "a.txt", "one\n")
    shown = write(here, "a.txt", "two\n", dry_run=True)

    assert "-one\n+two" in (shown.diff or "")
    assert shown.backup_id is None
    assert (here.workspace.root / "a.txt").read_text() == "one\n"
    assert len(here.workspace.journal.entries()) == 1


def test_a_missing_folder_is_made_only_where_allowed(here: Context):
    with pytest.raises(SidecarError) as refused:
        write(here, "x/a.txt", "a", ensure_directory=False)

    assert refused.value.code is ErrorCode.NOT_FOUND
    assert write(here, "x/a.txt", "a").operation == "created"


@pytest.mark.parametrize("path", [".git/hooks/pre-commit", ".env", "id_rsa", ".sidecar/x"])
def test_protected_files_are_neither_read_nor_written(here: Context, path: str):
    file = here.workspace.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("secret")

    for call in (lambda: read(here, path), lambda: write(here, path, "evil")):
        with pytest.raises(SidecarError) as refused:
            call()
        assert refused.value.code is ErrorCode.PROTECTED
    assert file.read_text() == "secret"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".roo/schedules.json", "{"),
        (".roo/schedules.json", '{"schedules": [{"id": 5}]}'),
        (".roomodes", "customModes:\n  - slug: [\n"),
    ],
)
def test_a_state_file_that_would_get_new_errors_is_not_written(
    context: Context, path: str, text: str
):
    before = (context.workspace.root / path).read_bytes()

    with pytest.raises(SidecarError) as refused:
        write(context, path, text)

    assert refused.value.code is ErrorCode.INVALID
    assert (context.workspace.root / path).read_bytes() == before


def test_a_state_file_keeps_the_errors_it_has_without_hindering_a_write(context: Context):
    path = context.workspace.root / ".roo/schedules.json"
    text = path.read_text()
    assert write(context, ".roo/schedules.json", text + "\n").operation == "replaced"


def test_a_text_of_many_different_lines_is_compared_in_bounded_time(here: Context):
    write(here, "a.txt", "\n".join(f"a{n}" for n in range(20_000)))
    done = write(here, "a.txt", "\n".join(f"b{n}" for n in range(20_000)), dry_run=True)

    assert (done.lines_added, done.lines_removed) == (20_000, 20_000)
