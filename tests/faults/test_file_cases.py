"""The reference file server's 46 file cases, re-stated for our tools: one sentence, one case."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import chdir

import pytest

from tests.faults.agent import Agent

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name == "nt", reason="the cases use POSIX modes"),
]

CASES_OF_THE_REFERENCE = 46
TEXT = "line1\nline2\nline3\n"
NOT_OURS = {
    "negative sizes are shown as nothing": "sizes are the file system's own numbers",
    "sizes with fractions are rounded": "sizes are whole bytes, never rounded or abbreviated",
    "an edit matches whatever the blanks around its old text": "no tool searches for an old text:"
    " a new text is written whole, under the condition of an etag",
}
Case = Callable[[Agent], None]
CASES: dict[str, Case] = {}


def case(sentence: str) -> Callable[[Case], Case]:
    """Declare a case by its sentence."""

    def declare(function: Case) -> Case:
        assert sentence not in CASES
        CASES[sentence] = function
        return function

    return declare


def names(agent: Agent) -> list[str]:
    """What lies in the root."""
    return [path.name for path in agent.root.iterdir()]


def status(agent: Agent, name: str) -> tuple[int, int, int]:
    """What a write would change of a file beside its bytes."""
    found = (agent.root / name).stat()
    return found.st_ino, found.st_mode, found.st_mtime_ns


@case("sizes are told in exact bytes")
def _(agent: Agent) -> None:
    for size in (0, 512, 1024, 1536, 1_048_576):
        agent.put(f"{size}.bin", b"x" * size)
        assert agent.size(f"{size}.bin") == size


@case("sizes beside a unit's border are not rounded")
def _(agent: Agent) -> None:
    for size in (1023, 1025, 1_048_575):
        agent.put(f"{size}.bin", b"x" * size)
        assert agent.size(f"{size}.bin") == size


@case("the size of a very large file is told without reading it")
def _(agent: Agent) -> None:
    with (agent.root / "huge.bin").open("wb") as file:
        file.truncate(1 << 40)
    assert agent.size("huge.bin") == 1 << 40
    assert agent.call("read_project_file", file_path="huge.bin").code == "E_TOO_LARGE"


@case("the size of a very small file is told")
def _(agent: Agent) -> None:
    agent.put("one.txt", "x")
    assert agent.size("one.txt") == 1


@case("CRLF is told as it is stored")
def _(agent: Agent) -> None:
    agent.put("f.txt", "line1\r\nline2\r\nline3")
    assert agent.content("f.txt") == "line1\r\nline2\r\nline3"


@case("LF is told as it is stored")
def _(agent: Agent) -> None:
    agent.put("f.txt", TEXT)
    assert agent.content("f.txt") == TEXT


@case("mixed line ends survive reading and writing")
def _(agent: Agent) -> None:
    agent.put("f.txt", "line1\r\nline2\nline3\r\n")
    assert agent.edit("f.txt", ("2", "two")) == b"line1\r\nlinetwo\nline3\r\n"


@case("an empty text is a text")
def _(agent: Agent) -> None:
    assert not agent.call("write_project_file", file_path="f.txt", content="").refused
    assert agent.content("f.txt") == ""


@case("a dry run shows a unified diff")
def _(agent: Agent) -> None:
    agent.put("test.txt", TEXT)
    told = agent.diff("test.txt", TEXT.replace("line2", "modified line2"))
    for line in ("--- test.txt", "+++ test.txt", "-line2", "+modified line2"):
        assert line in told.split("\n")


@case("a diff tells a change of line ends too")
def _(agent: Agent) -> None:
    agent.put("f.txt", "line1\r\nline2\r\n")
    told = agent.diff("f.txt", "line1\nmodified line2\n").split("\n")
    assert {"-line2\r", "+modified line2"} <= set(told)


@case("the same text gives no diff and no write")
def _(agent: Agent) -> None:
    agent.put("f.txt", TEXT)
    assert not agent.diff("f.txt", TEXT)
    written = agent.call("write_project_file", file_path="f.txt", content=TEXT).told
    assert (written["operation"], written["lines_added"], written["lines_removed"]) == (
        "unchanged", 0, 0,
    )  # fmt: skip


@case("an empty file made empty gives no diff")
def _(agent: Agent) -> None:
    agent.put("f.txt", "")
    assert not agent.diff("f.txt", "")


@case("a diff names the file by its path in the workspace")
def _(agent: Agent) -> None:
    agent.put("deep/f.txt", "old")
    told = agent.diff("deep/f.txt", "new")
    assert told.startswith("--- deep/f.txt\n+++ deep/f.txt\n")


@case("a diff names the file by its one spelling")
def _(agent: Agent) -> None:
    agent.put("deep/f.txt", "old")
    assert agent.diff("./deep//f.txt", "new").startswith("--- deep/f.txt\n+++ deep/f.txt\n")


@case("a path in the workspace is taken")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    assert agent.call("read_project_file", file_path="file.txt").told["file_path"] == "file.txt"


@case("a path outside is refused with its own code")
def _(agent: Agent) -> None:
    answer = agent.call("read_project_file", file_path="/etc/passwd")
    assert answer.code == "E_PATH_OUTSIDE"
    assert "leads outside the workspace" in answer.text


@case("a new file is taken where its folder is ours")
def _(agent: Agent) -> None:
    assert not agent.call("write_project_file", file_path="newfile.txt", content="x").refused
    assert agent.get("newfile.txt") == b"x"


@case("a new file without a folder is refused where none shall be made")
def _(agent: Agent) -> None:
    answer = agent.call(
        "write_project_file", file_path="nonexistent/f", content="x", ensure_directory=False
    )
    assert answer.code == "E_NOT_FOUND"
    assert not (agent.root / "nonexistent").exists()


@case("a relative path is taken from the root, not from the process's folder")
def _(agent: Agent) -> None:
    agent.put("test-file.txt", TEXT)
    with chdir("/"):
        assert agent.content("test-file.txt") == TEXT


@case("what is known of a file is told")
def _(agent: Agent) -> None:
    agent.put("file.txt", b"x" * 1024)
    told = agent.call("read_project_file", file_path="file.txt", include_metadata=True).told
    assert told["size"] == 1024
    assert told["metadata"]["mode"] == "0644"
    assert told["metadata"]["modified"].endswith("Z")


@case("a folder is told as one, and is no file")
def _(agent: Agent) -> None:
    agent.put("dir/f", TEXT)
    [entry, _] = agent.call("list_project_structure").told["entries"]
    assert (entry["path"], entry["type"]) == ("dir", "directory")
    assert agent.call("read_project_file", file_path="dir").code == "E_INVALID"


@case("a file is read as UTF-8 unless told otherwise")
def _(agent: Agent) -> None:
    agent.put("file.txt", "content \u754c")
    told = agent.call("read_project_file", file_path="file.txt").told
    assert (told["content"], told["encoding"]) == ("content \u754c", "utf-8")


@case("a file is read in the encoding that is named")
def _(agent: Agent) -> None:
    agent.put("file.txt", "caf\u00e9".encode("cp1252"))
    assert agent.content("file.txt", encoding="cp1252") == "caf\u00e9"
    assert agent.call("read_project_file", file_path="file.txt").code == "E_INVALID"


@case("a file is written whole, with its permissions kept")
def _(agent: Agent) -> None:
    agent.put("script.sh", "old")
    (agent.root / "script.sh").chmod(0o755)
    assert not agent.call("write_project_file", file_path="script.sh", content="new").refused
    assert agent.get("script.sh") == b"new"
    assert (agent.root / "script.sh").stat().st_mode & 0o777 == 0o755


def listed(agent: Agent, **arguments: object) -> list[str]:
    """The files that a listing tells."""
    entries = agent.call("list_project_structure", include_directories=False, **arguments).told
    return [entry["path"] for entry in entries["entries"]]


@case("excluded files and folders are left out")
def _(agent: Agent) -> None:
    for name in ("test.txt", "test.log", "node_modules/test.js"):
        agent.put(name, "x")
    excluded = ["*.log", "node_modules"]
    assert listed(agent, file_pattern="*test*", exclude_patterns=excluded) == ["test.txt"]


@case("what may not be opened does not end a search")
def _(agent: Agent) -> None:
    agent.put("test.txt", "needle")
    (agent.root / "test-link.txt").symlink_to("/etc/passwd")
    os.mkfifo(agent.root / "test-pipe.txt")
    found = agent.call("search_in_files", pattern="needle|root").told["matches"]
    assert [match["file"] for match in found] == ["test.txt"]


@case("wildcards in exclusions leave the others in")
def _(agent: Agent) -> None:
    for name in ("test.txt", "test.backup", "important_test.js"):
        agent.put(name, "x")
    found = listed(agent, file_pattern="*test*", exclude_patterns=["*.backup"])
    assert found == ["important_test.js", "test.txt"]


@case("one line is replaced, atomically")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    before = (agent.root / "file.txt").stat().st_ino
    assert agent.edit("file.txt", ("line2", "modified line2")) == (
        b"line1\nmodified line2\nline3\n"
    )
    assert (agent.root / "file.txt").stat().st_ino != before
    assert set(names(agent)) <= {"file.txt", ".sidecar"}


@case("dollar signs and backslashes are written as they are")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    odd = r"price=$$; match=$&; before=$`; after=$'; \1 \g<0> \n"
    assert agent.edit("file.txt", ("line2", odd)) == f"line1\n{odd}\nline3\n".encode()


@case("a dry run writes nothing, keeps no backup and changes no mode")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    before = status(agent, "file.txt")
    assert "+modified line2" in agent.diff("file.txt", "line1\nmodified line2\nline3\n")
    assert status(agent, "file.txt") == before
    assert names(agent) == ["file.txt"]


@case("several edits apply one after the other")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    changes = (("line1", "first line"), ("line3", "third line"))
    assert agent.edit("file.txt", *changes) == b"first line\nline2\nthird line\n"


@case("an edit of a text that is no longer there is refused with the present etag")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    etag = agent.call("read_project_file", file_path="file.txt").told["etag"]
    agent.put("file.txt", "another text\n")
    answer = agent.call("write_project_file", file_path="file.txt", content="x", if_match=etag)
    now = agent.call("read_project_file", file_path="file.txt").told["etag"]
    assert answer.code == "E_CONFLICT"
    assert now in answer.told["error"]
    assert agent.get("file.txt") == b"another text\n"


@case("an edit over several lines keeps every indentation")
def _(agent: Agent) -> None:
    agent.put("f.js", 'function test() {\n  console.log("hello");\n  return true;\n}')
    old = '  console.log("hello");\n  return true;'
    new = '  console.log("world");\n\tconsole.log("test");\n  return false;'
    assert agent.edit("f.js", (old, new)) == f"function test() {{\n{new}\n}}".encode()


@case("an edit inside an indented block leaves the block as it is")
def _(agent: Agent) -> None:
    agent.put("f.js", "    if (condition) {\n        doSomething();\n    }")
    expected = b"    if (condition) {\n        other();\n        another();\n    }"
    assert agent.edit("f.js", ("doSomething();", "other();\n        another();")) == expected


@case("an edit of a file with CRLF keeps CRLF")
def _(agent: Agent) -> None:
    agent.put("file.txt", "line1\r\nline2\r\nline3\r\n")
    expected = b"line1\r\nmodified line2\r\nline3\r\n"
    assert agent.edit("file.txt", ("line2", "modified line2")) == expected


@case("the end of an empty file is empty")
def _(agent: Agent) -> None:
    agent.put("empty.txt", "")
    assert agent.content("empty.txt", offset=5) == ""


@case("the number of lines is told, so that the last can be asked for")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    told = agent.call("read_project_file", file_path="file.txt", include_metadata=True).told
    assert told["metadata"]["lines"] == 3


@case("the last lines are read by their offset")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    assert agent.content("file.txt", offset=1, limit=2) == "line2\nline3\n"


@case("an offset past the end is answered, not an error")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    told = agent.call("read_project_file", file_path="file.txt", offset=10**15).told
    assert (told["content"], told["truncated"]) == ("", False)


@case("the first page is read without the rest")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    told = agent.call("read_project_file", file_path="file.txt", limit=1).told
    assert (told["content"], told["next_offset"]) == ("line1\n", 1)


@case("the first lines are read by their number")
def _(agent: Agent) -> None:
    agent.put("file.txt", TEXT)
    assert agent.content("file.txt", limit=2) == "line1\nline2\n"


@case("a character across a page's border is not torn")
def _(agent: Agent) -> None:
    text = "a" * 1023 + "\u754c" + "\nsecond"
    agent.put("file.txt", text)
    pages, offset = [], 0
    while offset is not None:
        told = agent.call(
            "read_project_file", file_path="file.txt", unit="byte", offset=offset, limit=1024
        ).told
        pages.append(told["content"])
        offset = told.get("next_offset")
    assert "".join(pages) == text


@case("a last line without an end is read")
def _(agent: Agent) -> None:
    agent.put("file.txt", "line1\nline2\nend")
    assert agent.content("file.txt", limit=5) == "line1\nline2\nend"


@pytest.fixture(scope="module")
def proven(figure: Callable[[str], None]) -> Iterator[set[str]]:
    """The cases that held; counted at the end."""
    names: set[str] = set()
    yield names
    reasons = "; ".join(f"{name}: {reason}" for name, reason in NOT_OURS.items())
    figure(
        f"file cases of the reference server: {len(names)}/{CASES_OF_THE_REFERENCE} hold, "
        f"{len(NOT_OURS)} do not apply ({reasons})"
    )


@pytest.mark.parametrize("sentence", CASES, ids=lambda sentence: sentence.replace(" ", "_"))
def test_file_case(sentence: str, agent: Agent, proven: set[str]):
    CASES[sentence](agent)
    proven.add(sentence)


def test_every_case_of_the_reference_is_here_or_named_with_its_reason():
    assert len(CASES) + len(NOT_OURS) == CASES_OF_THE_REFERENCE
