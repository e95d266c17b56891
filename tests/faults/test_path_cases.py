"""The reference file server's 53 path cases, re-stated for our tools: one sentence, one case."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.agent import PATH_TOOLS, Agent

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name == "nt", reason="the cases are built from symbolic links"),
]

CASES_OF_THE_REFERENCE = 53
SECRET = "OUTSIDE-SECRET"
REFUSALS = {"E_PATH_OUTSIDE", "E_INVALID", "E_NOT_FOUND", "E_PROTECTED"}
NOT_OURS = {
    "an empty entry in the list of allowed directories is skipped":
        "a sidecar has one root and no list",
    "an allowed directory with a NUL character allows nothing":
        "the root comes from a command line or the working directory, which cannot hold NUL",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A workspace beside its neighbours: which paths every tool takes, which every tool refuses.

    ``links`` map a link to where it points; those of ``late`` are made when the paths of
    ``before`` have been used already, as a racing program would. ``{top}`` is the folder in which
    the workspace lies.
    """

    root: str = "project"
    files: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    refused: tuple[Any, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    late: dict[str, str] = field(default_factory=dict)


CLIMBING = (
    "../../../etc/passwd", "../../other", "../project2/f", "src/../../project2/f", "./../../other",
    "../project/../../../etc", "src/../src/f", "src\\..\\..\\project2\\f",
)  # fmt: skip
CASES = {
    "the root itself can be listed and searched": Case(files=("f",), folders=("", ".", "./")),
    "files and folders below the root are ours": Case(
        files=("src/index.js", "deeply/nested/file.txt"),
        allowed=("src/index.js", "deeply/nested/file.txt"), folders=("src", "deeply/nested"),
    ),
    "a neighbour whose name begins like ours is not ours": Case(
        neighbours=("project2/f", "project_backup/f", "project-old/f", "projectile/f",
                    "project.bak/f"),
        refused=("../project2/f", "{top}/project2/f", "../project_backup/f", "../project-old/f",
                 "../projectile/f", "../project.bak/f"),
    ),
    "what lies elsewhere is refused": Case(
        neighbours=("other/f",), refused=("{top}/other/f", "/etc/passwd", "{top}", "/"),
    ),
    "the parent and the siblings are refused": Case(
        neighbours=("project_sibling/f",),
        refused=("..", "../", "/", "../project_sibling", "../project_sibling/f"),
    ),
    "a root with spaces and brackets is matched exactly": Case(
        root="my-project (v2)", files=("src/f",), neighbours=("my-project (v2)_backup/f",
                                                               "my-project/f"),
        allowed=("src/f",), refused=("../my-project (v2)_backup/f", "../my-project/f"),
    ),
    "an empty path names no file": Case(folders=("",)),
    "separators at the end change nothing": Case(
        files=("src/f",), neighbours=("project2/f",), folders=("src", "src/", "src//"),
        refused=("../project2", "../project2/", "{top}/project2/"),
    ),
    "a Windows path with a separator at its end is refused": Case(
        refused=("C:\\Users\\project\\", "C:\\Users\\project2\\"),
    ),
    "a relative path starts at the root, wherever the process stands": Case(
        files=("relative/path", "file"), neighbours=("parent",),
        allowed=("relative/path", "./file"), refused=("../parent",),
    ),
    "an absolute path is refused, even into the workspace": Case(
        files=("file",), refused=("{top}/project/file", "{top}/project"),
    ),
    "null is no path": Case(refused=(None,)),
    "a composed and a decomposed name are two names": Case(
        root="caf\u00e9", files=("caf\u00e9.txt",), neighbours=("cafe\u0301/f",),
        allowed=("caf\u00e9.txt",), refused=("../cafe\u0301/f",),
    ),
    "a part of a name with spaces is not the name": Case(
        root="my project", files=("my file",), neighbours=("my/f", "my proj/f"),
        allowed=("my file",), refused=("../my/f", "../my proj/f"),
    ),
    "a Windows path is refused on every system": Case(
        refused=("C:\\Users\\project", "C:\\Users\\project\\src", "C:/Users/project2", "c:f"),
    ),
    "a POSIX path is relative": Case(
        files=("src",), neighbours=("project2/f",), allowed=("src",),
        refused=("{top}/project", "{top}/project2/f"),
    ),
    "a path that climbs is refused": Case(files=("src/f",), refused=CLIMBING),
    "a root that was named with dots is the folder it means": Case(
        root="project/../safe", files=("file",), neighbours=("project/file",), allowed=("file",),
        refused=("../project/file",),
    ),
    "dots inside a name do not climb": Case(
        files=("..test", "test..", "te..st"), neighbours=("test",),
        allowed=("..test", "test..", "te..st"), refused=("../test", "..", "te..st/.."),
    ),
    "a NUL character is refused wherever it stands": Case(
        files=("test",), refused=("\0/etc/passwd", "test\0.txt", "\0test", "test\0", "\0"),
    ),
    "a percent sign is a character like any other": Case(
        files=("report_50%.pdf", "Q1_25%_growth", "%41", "%2e%2e", "file%20name"),
        allowed=("report_50%.pdf", "Q1_25%_growth", "%41", "%2e%2e", "file%20name"),
    ),
    "a root with a percent sign is not decoded": Case(
        root="project%20files", files=("test",), neighbours=("project files/test",),
        allowed=("test",), refused=("../project files/test",),
    ),
    "a path is normalised before it is judged": Case(
        files=("src/file",), neighbours=("project2/f",), folders=("src/", "src//", "./src", "."),
        allowed=("src//file", "./src/./file"), refused=("..//project2/f", ".//../project2/f"),
    ),
    "mixed separators are refused": Case(
        files=("src/f",), refused=("C:/Users\\project", "src\\f", "..\\src/f"),
    ),
    "what is no text is no path": Case(refused=(123, 1.5, True, {}, [], ["a"], {"path": "f"})),
    "a very long path is refused, and so is one that climbs out": Case(
        refused=("a/" * 3000 + "file", "a/" * 1000 + "../" * 1001 + "etc/passwd", "x" * 300),
    ),
    "a root that climbs and comes back is the folder it means": Case(
        root="../{name}/project", files=("file",), neighbours=("other/f",), allowed=("file",),
        refused=("../other/f",),
    ),
    "three dots are a name, two are the parent": Case(
        files=("...", "...."), folders=(".",), allowed=("...", "...."), refused=("..",),
    ),
    "a UNC path is refused": Case(
        refused=("\\\\server\\share\\project", "\\\\server\\share\\other", "//server/share/f",
                 "\\\\?\\C:\\f", "\\\\.\\pipe\\f"),
    ),
    "a link to a file outside is refused": Case(
        neighbours=("target.txt",), links={"bad-link": "{top}/target.txt"}, refused=("bad-link",),
    ),
    "a link is judged by where it leads, not by its name": Case(
        neighbours=("target.txt",), links={"link.txt": "../target.txt"},
        refused=("link.txt", "../target.txt", "{top}/target.txt"),
    ),
    "a chain of links is followed to its end": Case(
        neighbours=("target.txt",), refused=("safe",),
        links={"safe": "../link2", "../link2": "link1", "../link1": "target.txt"},
    ),
    "a link that comes after the first use is refused": Case(
        files=("test.txt",), neighbours=("target.txt",), before=("test.txt",),
        late={"test.txt": "../target.txt"}, refused=("test.txt",),
    ),
    "each use judges anew": Case(
        files=("a/test.txt",), neighbours=("target.txt",), before=("a/test.txt", "a/test.txt"),
        late={"a/test.txt": "../../target.txt"}, refused=("a/test.txt", "./a/test.txt"),
    ),
    "a folder that becomes a link is not entered": Case(
        files=("newdir/f",), neighbours=("outside/f",), before=("newdir/f",),
        late={"newdir": "../outside"}, refused=("newdir", "newdir/f", "newdir/new"),
    ),
    "a new file in a linked folder is not made outside": Case(
        neighbours=("outside/f",), links={"link": "../outside"},
        refused=("link/newfile.txt", "link/f", "link"),
    ),
    "a new folder in a linked folder is not made outside": Case(
        files=("sub1/sub2/file.txt",), neighbours=("outside/f",), before=("sub1/sub2/file.txt",),
        late={"sub1": "../outside"}, refused=("sub1/sub2/file.txt", "sub1/sub2"),
    ),
    "between the look and the use a link changes nothing outside": Case(
        files=("race-file.txt",), neighbours=("target.txt",), before=("race-file.txt",),
        late={"race-file.txt": "{top}/target.txt"}, refused=("race-file.txt",),
    ),
    "a link within the workspace is followed": Case(
        files=("target.txt",), links={"symlink.txt": "target.txt"}, allowed=("symlink.txt",),
    ),
    "an own file that became a link outside is not overwritten": Case(
        files=("existing.txt",), neighbours=("target.txt",), before=("existing.txt",),
        late={"existing.txt": "../target.txt"}, refused=("existing.txt",),
    ),
    "an own file that became a link outside is not read": Case(
        files=("readable.txt",), neighbours=("secret.txt",), before=("readable.txt",),
        late={"readable.txt": "../secret.txt"}, refused=("readable.txt",),
    ),
}  # fmt: skip


def build(top: Path, case: Case) -> Agent:
    """The workspace and what lies around it."""
    for name in case.neighbours:
        place(top / name, SECRET)
    (top / "project").mkdir(exist_ok=True)
    root = top / case.root.format(name=top.name)
    root.mkdir(parents=True, exist_ok=True)
    for name in case.files:
        place(root / name, "inside")
    for name, target in case.links.items():
        (root / name).symlink_to(target.format(top=top))
    return Agent.at(root)


def place(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def become_link(path: Path, target: str) -> None:
    """As a program that wins the race: what was there is gone, a link stands in its place."""
    path.rename(path.with_name("moved-away"))
    path.symlink_to(target)


def outside(top: Path, root: Path) -> dict[str, bytes]:
    """Every file around the workspace, links left aside."""
    found = (path for path in top.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path): path.read_bytes() for path in found if not path.is_relative_to(root)}


@pytest.fixture(scope="module")
def proven(figure: Callable[[str], None]) -> Iterator[set[str]]:
    """The cases that held; counted at the end."""
    names: set[str] = set()
    yield names
    figure(
        f"path cases of the reference server: {len(names)}/{CASES_OF_THE_REFERENCE} hold, "
        f"{len(NOT_OURS)} do not apply ("
        + "; ".join(f"{name}: {reason}" for name, reason in NOT_OURS.items()) + ")"
    )  # fmt: skip


@pytest.mark.parametrize("sentence", CASES, ids=lambda sentence: sentence.replace(" ", "_"))
def test_case_of_the_table(sentence: str, tmp_path: Path, proven: set[str]):
    case = CASES[sentence]
    agent = build(tmp_path, case)
    root = agent.root
    for path in case.before:
        assert agent.use("read", path).told["content"] in {"inside", "overwritten"}
        assert not agent.use("write", path).refused
    for path, target in case.late.items():
        become_link(root / path, target.format(top=tmp_path))
    around = outside(tmp_path, root)

    for path in case.allowed:
        assert agent.use("read", path).told["content"] == "inside"
    for path in case.allowed:
        assert not agent.use("write", path).refused
    for path in case.folders:
        assert not agent.use("list", path).refused
        assert not agent.use("search", path).refused
    for path in case.refused:
        named = path.format(top=tmp_path) if isinstance(path, str) else path
        refuse_everywhere(agent, named)
    assert outside(tmp_path, root) == around
    proven.add(sentence)


def refuse_everywhere(agent: Agent, path: Any) -> None:
    """Every tool refuses the path in a sentence, without telling what is outside."""
    for way in PATH_TOOLS:
        if path is None and way in {"list", "search", "validate"}:
            continue  # no folder means the root
        if way == "rollback" and not isinstance(path, str):
            continue  # its context is free: only a text in it is a path
        answer = agent.use(way, path)
        assert answer.refused, (way, path, answer.text)
        assert answer.code in REFUSALS, (way, path, answer.text)
        assert SECRET not in answer.everything
        assert str(agent.root) not in answer.text.replace(str(path), "")


def test_two_workspaces_know_nothing_of_each_other(tmp_path: Path, proven: set[str]):
    one, two = (build(tmp_path, Case(root=name, files=("f",))) for name in ("p1", "p2"))
    place(tmp_path / "p3" / "f", SECRET)
    for agent in (one, two):
        assert agent.use("read", "f").told["content"] == "inside"
        for path in ("../p1/f", "../p2/f", "../p3/f", f"{tmp_path}/p2/f"):
            refuse_everywhere(agent, path)
    proven.add("several roots")


def test_a_workspace_inside_another_sees_only_itself(tmp_path: Path, proven: set[str]):
    outer = build(tmp_path, Case(root="outer", files=("f", "inner/g")))
    inner = Agent.at(outer.context.workspace.root / "inner")
    assert outer.use("read", "inner/g").told["content"] == "inside"
    assert inner.use("read", "g").told["content"] == "inside"
    refuse_everywhere(inner, "../f")
    proven.add("nested roots")


def test_even_at_the_root_of_the_machine_kernel_files_and_secrets_stay_closed(proven: set[str]):
    agent = Agent.at(Path("/"))
    listed = agent.call("list_project_structure", recursive=False)
    assert "etc" in {entry["path"] for entry in listed.told["entries"]}
    assert agent.use("read", "/etc/passwd").code == "E_PATH_OUTSIDE"
    assert agent.use("read", "root/.ssh/id_rsa").code == "E_PROTECTED"
    assert agent.use("read", "dev/zero").code == "E_INVALID"
    proven.add("the machine's root")


def test_a_file_that_does_not_exist_yet_is_judged_by_its_folder(tmp_path: Path, proven: set[str]):
    agent = build(tmp_path, Case())
    assert agent.use("read", "subdir/newfile.txt").code == "E_NOT_FOUND"
    assert not agent.use("write", "subdir/newfile.txt").refused
    assert agent.use("read", "subdir/newfile.txt").told["content"] == "overwritten"
    proven.add("missing paths")
    fresh = agent.use("write", "test.txt")
    assert fresh.told["operation"] == "created"
    proven.add("new files by their parent")


@pytest.mark.parametrize("both", [False, True], ids=["through_the_link", "through_both"])
def test_a_root_that_is_itself_a_link_is_the_folder_it_means(
    tmp_path: Path, proven: set[str], both: bool
):
    real = build(tmp_path, Case(root="real", files=("file.txt",))).context.workspace.root
    (tmp_path / "link").symlink_to(real)
    agents = [Agent.at(tmp_path / "link"), *([Agent.at(real)] if both else [])]
    for agent in agents:
        assert agent.root == real
        assert agent.use("read", "file.txt").told["content"] in {"inside", "overwritten"}
        assert not agent.use("write", "file.txt").refused
        refuse_everywhere(agent, "../link/file.txt")
    proven.add(f"a linked root {both}")


def test_an_exclusive_creation_never_goes_through_a_link(tmp_path: Path, proven: set[str]):
    agent = build(tmp_path, Case(neighbours=("target.txt",), links={"new": "../target.txt"}))
    assert agent.use("write", "new").code == "E_PATH_OUTSIDE"
    assert agent.use("append", "new").code == "E_PATH_OUTSIDE"
    assert (tmp_path / "target.txt").read_text() == SECRET
    proven.add("exclusive creation")


def test_an_own_file_may_be_overwritten(tmp_path: Path, proven: set[str]):
    agent = build(tmp_path, Case(files=("legit-file.txt",)))
    assert agent.use("write", "legit-file.txt").told["operation"] == "replaced"
    assert agent.use("read", "legit-file.txt").told["content"] == "overwritten"
    proven.add("overwriting")


def test_the_rename_of_a_write_replaces_a_late_link_and_never_follows_it(
    tmp_path: Path, proven: set[str]
):
    agent = build(tmp_path, Case(files=("inner.txt",), neighbours=("target.txt",)))
    root = agent.root
    (root / "link.txt").symlink_to("inner.txt")
    assert not agent.use("write", "link.txt").refused
    assert (root / "inner.txt").read_text() == "overwritten"
    (root / "link.txt").unlink()
    (root / "link.txt").symlink_to("../target.txt")
    assert agent.use("write", "link.txt").refused
    assert (tmp_path / "target.txt").read_text() == SECRET
    proven.add("renames")


def test_every_case_of_the_reference_is_here_or_named_with_its_reason():
    functions = 10  # the cases above that are no row of the table; two functions hold two
    assert len(CASES) + functions + len(NOT_OURS) == CASES_OF_THE_REFERENCE
