"""The contract of the file tools, clause by clause."""

from __future__ import annotations

import base64
import os
from hashlib import sha256

import pytest

from sidecar.services.context import Context
from tests.services.contract import Clause, Table, World

T = Table()

# 9. read_project_file
R = "read_project_file"
T.refuses(R, "NOT_FOUND", "a file that is not there", {"file_path": "nowhere.txt"})
T.refuses(R, "INVALID", "a folder is no file", {"file_path": ".roo"})
T.refuses(R, "INVALID", "an encoding that there is not", {"file_path": "TODO.md",
          "encoding": "klingon"})  # fmt: skip


@T.row(R, "text is exactly as stored, line ends kept, its hash the etag")
def _(w: World) -> None:
    w.write("a.txt", "\ufeffa\r\nb\rc\n")
    answer = w.call(R, file_path="a.txt", include_metadata=True)
    assert answer["content"] == "\ufeffa\r\nb\rc\n"
    assert answer["etag"] == sha256(answer["content"].encode()).hexdigest()
    assert answer["metadata"]["lines"] == 3
    assert answer["content"] in w.text(R, file_path="a.txt")


@T.row(R, "binary is refused with its type, and given as base64 on request")
def _(w: World) -> None:
    w.write("x.png", b"\x89PNG\xff\0")
    assert "image/png" in w.refused(R, "INVALID", file_path="x.png")
    content = w.call(R, file_path="x.png", as_base64=True)["content"]
    assert base64.b64decode(content) == b"\x89PNG\xff\0"


@T.row(R, "a page has at most 1 MB and names the next")
def _(w: World) -> None:
    w.write("big.txt", "0123456789\n" * 200_000)
    answer = w.call(R, file_path="big.txt")
    assert len(answer["content"]) <= 1_000_000
    assert answer["truncated"] is True
    second = w.call(R, file_path="big.txt", offset=answer["next_offset"], limit=2)
    assert second["content"] == "0123456789\n" * 2
    assert w.call(R, file_path="big.txt", unit="byte", offset=3, limit=4)["content"] == "3456"
    w.refused(R, "TOO_LARGE", file_path="big.txt", max_size_mb=1)


@T.row(R, "a special file is refused at once")
def _(w: World) -> None:
    os.mkfifo(w.root / "pipe")
    w.refused(R, "INVALID", file_path="pipe")
    w.refused("backup_file", "INVALID", file_path="pipe")
    w.refused("write_project_file", "INVALID", file_path="pipe", content="x")


# 10. write_project_file
W = "write_project_file"
T.refuses(W, "INVALID", "text that the encoding lacks", {"file_path": "a", "content": "\u20ac",
          "encoding": "latin-1"})  # fmt: skip
T.refuses(W, "NOT_FOUND", "a missing folder where none may be made", {"file_path": "no/a",
          "content": "x", "ensure_directory": False})  # fmt: skip
T.refuses(W, "INVALID", "a state file that would not validate", {"file_path":
          ".roo/schedules.json", "content": "{"})  # fmt: skip
T.refuses(W, "CONFLICT", "if_match where there is no file", {"file_path": "new", "content": "x",
          "if_match": "0"})  # fmt: skip
T.answers(W, "a new file tells size, hash and lines", {"file_path": "d/n.txt", "content": "a\nb\n"},
          {"operation": "created", "size": 4, "lines_added": 2, "etag":
           sha256(b"a\nb\n").hexdigest(), "stored": "disk"})  # fmt: skip


@T.row(W, "a replaced file's backup holds what was there; mode is kept")
def _(w: World) -> None:
    (w.root / "TODO.md").chmod(0o640)
    before = w.read("TODO.md")
    answer = w.call(W, file_path="TODO.md", content="# Plan\n\n- [ ] x\n")
    backups = w.context.workspace.backups
    assert backups.read(backups.find("TODO.md", answer["backup_id"])).decode() == before
    assert (w.root / "TODO.md").stat().st_mode & 0o777 == 0o640
    assert not [path for path in w.state() if path.endswith(".tmp")]


@T.row(W, "a stale etag is a conflict that names the present one")
def _(w: World) -> None:
    etag = w.call(R, file_path="README.md")["etag"]
    w.write("README.md", "foreign\n")
    told = w.refused(W, "CONFLICT", file_path="README.md", content="x", if_match=etag)
    assert w.state()["README.md"] in told
    assert w.read("README.md") == "foreign\n"


@T.row(W, "dry_run gives the diff; append adds exactly the content")
def _(w: World) -> None:
    w.write("a.txt", "one\n")
    assert (
        "+two" in w.call(W, file_path="a.txt", content="two\n", append=True, dry_run=True)["diff"]
    )
    assert w.read("a.txt") == "one\n"
    assert w.call(W, file_path="a.txt", content="two\n", append=True)["operation"] == "appended"
    assert w.read("a.txt") == "one\ntwo\n"


# 11. list_project_structure
L = "list_project_structure"


def tree(w: World) -> None:
    """A few folders, an ignored file and a link out."""
    for path in ("src/a.py", "src/sub/b.py", "src/sub/c.txt", "doc/d.md", "out.log"):
        w.write(path, path)
    w.write(".gitignore", "*.log\n")
    (w.root / "link").symlink_to("/etc")


def listed(w: World, **given: object) -> list[str]:
    """The paths of a listing, without those of the sample."""
    sample = {"README.md", "TODO.md", "persistent-memory.md", "task_timing.tsv"}
    return [e["path"] for e in w.call(L, **given)["entries"] if e["path"] not in sample]


@T.row(L, "globs know **, ignored files are left out, links are named and never followed")
def _(w: World) -> None:
    tree(w)
    assert listed(w, file_pattern="**/*.py") == ["src/a.py", "src/sub/b.py"]
    assert listed(w, file_pattern="src/**/*.py") == ["src/a.py", "src/sub/b.py"]
    assert listed(w, file_pattern="src/*.py") == ["src/a.py"]
    everything = w.call(L)["entries"]
    assert "out.log" not in [each["path"] for each in everything]
    assert [e["type"] for e in everything if e["path"].startswith("link")] == ["symlink"]
    assert "out.log" in listed(w, gitignore=False)
    assert "src/a.py" not in listed(w, exclude_patterns=["src/"])


@T.row(L, "include_directories=false still recurses; max_depth 0 is this level")
def _(w: World) -> None:
    tree(w)
    assert "src/sub/b.py" in listed(w, include_directories=False)
    assert "src" not in listed(w, include_directories=False)
    assert listed(w, max_depth=0) == ["doc", "link", "src"]
    assert listed(w, recursive=False) == ["doc", "link", "src"]
    assert listed(w, directory="src", max_depth=0) == ["src/a.py", "src/sub"]
    assert ".roomodes" in listed(w, include_hidden=True)
    assert ".roomodes" not in listed(w)


@T.row(L, "sorted by size the largest come first, and pages join to the whole")
def _(w: World) -> None:
    tree(w)
    sizes = [e["size"] for e in w.call(L, sort="size", include_directories=False)["entries"]]
    assert sizes == sorted(sizes, reverse=True)
    found, cursor = [], None
    while True:
        page = w.call(L, limit=3, cursor=cursor)
        found += [each["path"] for each in page["entries"]]
        if (cursor := page.get("next_cursor")) is None:
            break
    assert found == [each["path"] for each in w.call(L)["entries"]]
    assert page["total_items"] == len(found)
    w.refused(L, "NOT_FOUND", directory="nowhere")


# 12. search_in_files
S = "search_in_files"
T.refuses(S, "INVALID", "a pattern that is none", {"pattern": "(a"})
T.refuses(S, "INVALID", "look-around, which is not linear", {"pattern": "(?=a)b"})
T.refuses(S, "NOT_FOUND", "a folder that is not there", {"pattern": "a", "directory": "nowhere"})
T.answers(S, "nothing found is a success", {"pattern": "zzzqqq"},
          {"success": True, "total_matches": 0, "matches": []})  # fmt: skip


@T.row(S, "the total is exact, max_matches cuts matches, order is by path and line")
def _(w: World) -> None:
    for name in ("b.txt", "a.txt"):
        w.write(name, "needle needle\nx\nneedle\n")
    w.write("bin", b"needle\0")
    answer = w.call(S, pattern="needle", max_matches=4, context_lines=1)
    places = [(m["file"], m["line_number"]) for m in answer["matches"]]
    assert places == [("a.txt", 1), ("a.txt", 1), ("a.txt", 3), ("b.txt", 1)]
    assert answer["total_matches"] == 6
    assert answer["matches"][2]["context"] == ["2: x"]
    rest = w.call(S, pattern="needle", max_matches=4, cursor=answer["next_cursor"])
    assert len(rest["matches"]) == 2


@T.row(S, "a file that was skipped for its size is said")
def _(w: World) -> None:
    w.write("huge.txt", "x" * 16_000_001)
    assert "1 files over" in w.call(S, pattern="needle")["truncated"]


@T.row(S, "literal, case and whole words")
def _(w: World) -> None:
    w.write("a.txt", "a.b A.B xa.bx\n")
    count = lambda **given: w.call(S, file_pattern="a.txt", **given)["total_matches"]  # noqa: E731
    assert count(pattern="a.b", regex=False) == 3
    assert count(pattern="a.b", regex=False, case_sensitive=True) == 2
    assert count(pattern="a.b", regex=False, whole_word=True) == 2


@T.row(S, "secrets are not searched")
def _(w: World) -> None:
    for path in (".env", "id_rsa", ".git/config"):
        w.write(path, "needle\n")
    assert w.call(S, pattern="needle")["total_matches"] == 0


# 13. backup_file
B = "backup_file"
T.refuses(B, "NOT_FOUND", "a file that is not there", {"file_path": "nowhere"})
T.refuses(B, "PATH_OUTSIDE", "a folder outside the backup root", {"file_path": "TODO.md",
          "backup_directory": "../elsewhere"})  # fmt: skip
T.refuses(B, "PATH_OUTSIDE", "a name outside the backup root", {"file_path": "TODO.md",
          "backup_name": "../../x"})  # fmt: skip


@T.row(B, "a/x and b/x never mix, nothing is overwritten, equal content is kept once")
def _(w: World) -> None:
    for folder in ("a", "b"):
        w.write(f"{folder}/x", "same")
    named = {"backup_name": "n", "include_timestamp": False}
    made = [w.call(B, file_path=f"{f}/x", **named) for f in ("a", "b", "a")]
    assert len({each["backup_id"] for each in made}) == 3
    assert len({each["backup_path"] for each in made}) == 1
    assert made[0]["backup_file"] != made[1]["backup_file"]
    manifest = w.read(".sidecar/backups/manifest.jsonl").splitlines()
    assert len(manifest) == 3
    assert w.call("restore_file", file_path="a/x", list=True)["total"] == 2


# 14. restore_file
X = "restore_file"
T.refuses(X, "NOT_FOUND", "a file without backups", {"file_path": "README.md"})
T.refuses(X, "PATH_OUTSIDE", "a backup outside the backup root", {"file_path": "TODO.md",
          "backup_path": "/etc/passwd"})  # fmt: skip
T.refuses(X, "PATH_OUTSIDE", "another file as the backup", {"file_path": "TODO.md",
          "backup_path": "README.md"})  # fmt: skip


@T.row(X, "only backups of that very file serve")
def _(w: World) -> None:
    other = w.call(B, file_path="README.md")["backup_id"]
    w.refused(X, "NOT_FOUND", file_path="TODO.md", backup_path=other)


@T.row(X, "the newest earlier content comes back, verified, with a way to undo it")
def _(w: World) -> None:
    first = w.read("README.md")
    kept = w.call(B, file_path="README.md")["backup_id"]
    w.write("README.md", "second\n")
    answer = w.call(X, file_path="README.md")
    assert (w.read("README.md"), answer["restored_from"]) == (first, kept)
    undo = answer["current_backup_created"]
    assert undo in w.text(X, file_path="README.md", list=True)
    w.call(X, file_path="README.md", backup_path=undo)
    assert w.read("README.md") == "second\n"


@T.row(X, "at= restores as of a time, and says where there is nothing as old")
def _(w: World) -> None:
    first = w.read("README.md")
    w.call(B, file_path="README.md")
    created = w.call(X, file_path="README.md", list=True)["backups"][0]["created"]
    w.write("README.md", "second\n")
    w.call(B, file_path="README.md")
    w.call(X, file_path="README.md", at=created)
    assert w.read("README.md") == first
    w.refused(X, "NOT_FOUND", file_path="README.md", at="2001-01-01T00:00:00Z")


@T.row(X, "a backup whose bytes were changed restores nothing")
def _(w: World) -> None:
    w.write("README.md", "long\n" * 20_000)
    answer = w.call(B, file_path="README.md")
    w.write("README.md", "second\n")
    (w.root / answer["backup_path"]).write_bytes(b"evil")
    w.refused(X, "CORRUPT", file_path="README.md", backup_path=answer["backup_id"])
    assert w.read("README.md") == "second\n"


@pytest.mark.parametrize("clause", T, ids=str)
def test_the_tool_keeps_its_contract(clause: Clause, context: Context):
    clause.proof(World(context))
