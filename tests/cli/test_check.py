"""What ``sidecar check`` prints and how it exits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BROKEN = "customModes:\n  - slug: a b\n    name: A\n    roleDefinition: You.\n    groups: [files]\n"
VALID = "customModes:\n  - slug: a\n    name: A\n    roleDefinition: You.\n    groups: [read]\n"


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_valid_file_exits_0(sidecar, tmp_path: Path):
    put(tmp_path, ".roomodes", VALID)

    assert sidecar("check", "--select", "RM", ".roomodes").returncode == 0


def test_an_error_exits_1_and_is_named_with_its_place(sidecar, tmp_path: Path):
    put(tmp_path, ".roomodes", BROKEN)

    answer = sidecar("check", ".roomodes")

    assert answer.returncode == 1
    assert ".roomodes:5:14: error RM006" in answer.stdout
    assert "roo: schema-error, 0 of 1 loaded" in answer.stdout


def test_fail_on_decides_which_findings_fail(sidecar, tmp_path: Path):
    put(tmp_path, ".roomodes", VALID.replace("[read]", "[read, browser]"))

    assert sidecar("check", ".roomodes").returncode == 0
    assert sidecar("check", "--fail-on", "warning", ".roomodes").returncode == 1


def test_the_json_has_the_documented_shape(sidecar, tmp_path: Path):
    put(tmp_path, ".roomodes", BROKEN.replace("name: A", "name: '🔧 A'"))

    report = json.loads(sidecar("check", "--format", "json", ".roomodes").stdout)

    assert report["summary"]["files"] == 1
    file = report["files"][0]
    assert file["path"] == ".roomodes"
    assert file["kind"] == "modes"
    assert file["product"] == {"name": "roo", "verdict": "schema-error", "loaded": 0, "total": 1}
    group = next(finding for finding in file["findings"] if finding["code"] == "RM006")
    assert group["severity"] == "error"
    assert group["range"]["start"] == {"line": 4, "character": 13}
    assert group["range"]["end"] == {"line": 4, "character": 18}
    assert {"title", "edits"} <= set(group["fix"])


def test_a_folder_is_searched_and_its_dependencies_are_not(sidecar, tmp_path: Path):
    put(tmp_path, "one/.roomodes", VALID)
    put(tmp_path, "one/.roo/schedules.json", '{"schedules": []}')
    put(tmp_path, "node_modules/x/.roomodes", BROKEN)

    report = json.loads(sidecar("check", "--format", "json", ".").stdout)

    assert [file["path"] for file in report["files"]] == [
        "one/.roomodes",
        "one/.roo/schedules.json",
    ]


def test_without_a_path_the_nearest_workspace_above_is_checked(sidecar, tmp_path: Path):
    put(tmp_path, ".roomodes", BROKEN)
    (tmp_path / "deep" / "er").mkdir(parents=True)

    answer = sidecar("check", cwd=tmp_path / "deep" / "er")

    assert answer.returncode == 1
    assert "RM006" in answer.stdout


def test_github_annotations_escape_what_their_syntax_uses(sidecar, tmp_path: Path):
    put(tmp_path, ".roomodes", BROKEN)

    lines = sidecar("check", "--format", "github", ".roomodes").stdout.splitlines()

    assert any(line.startswith("::error file=.roomodes,line=5,col=14,") for line in lines)


def test_sarif_names_rules_and_regions(sidecar, tmp_path: Path):
    put(tmp_path, ".roomodes", BROKEN)

    run = json.loads(sidecar("check", "--format", "sarif", ".roomodes").stdout)["runs"][0]

    codes = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} == codes
    region = run["results"][-1]["locations"][0]["physicalLocation"]["region"]
    assert region["startLine"] >= 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (".roomodes", b"\xff\xfe\x00binary\x00\x01"),
        ("notes.txt", b"what is this"),
        ("missing/.roomodes", None),
        (".roomodes", None),
    ],
    ids=["binary", "unknown name", "missing folder", "missing file"],
)
def test_what_cannot_be_checked_is_said_and_exits_2(sidecar, tmp_path: Path, name, data):
    if data is not None:
        (tmp_path / name).write_bytes(data)

    answer = sidecar("check", name)

    assert answer.returncode == 2
    assert "not checked" in answer.stdout
    assert "Traceback" not in answer.stderr
    assert str(tmp_path) not in answer.stdout


@pytest.mark.parametrize(
    "name", [".roomodes", "schedules.json", "TODO.md", "task_timing.tsv", "persistent-memory.md"]
)
def test_an_empty_file_of_any_kind_is_no_accident(sidecar, tmp_path: Path, name: str):
    put(tmp_path, name, "")

    answer = sidecar("check", name)

    assert answer.returncode in {0, 1}
    assert "Traceback" not in answer.stderr


def test_ten_megabytes_are_checked_or_refused_in_a_sentence(sidecar, tmp_path: Path):
    item = VALID.partition("\n")[2]
    put(tmp_path, ".roomodes", "customModes:\n" + item * (10_000_000 // len(item)))

    answer = sidecar("check", ".roomodes")

    assert answer.returncode in {1, 2}
    assert "Traceback" not in answer.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no FIFOs")
def test_a_fifo_is_refused_at_once(sidecar, tmp_path: Path):
    os.mkfifo(tmp_path / ".roomodes")

    answer = sidecar("check", ".roomodes")

    assert answer.returncode == 2
    assert "not checked" in answer.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permission bits")
def test_a_file_without_permission_is_said_and_exits_2(tmp_path: Path):
    put(tmp_path, ".roomodes", VALID).chmod(0)
    tmp_path.chmod(0o755)
    program = [sys.executable, "-P", "-m", "sidecar", "check", str(tmp_path / ".roomodes")]
    if os.geteuid() == 0:  # root reads everything, unless it gives that power away
        if shutil.which("setpriv") is None:
            pytest.skip("root reads every file, and there is no setpriv to give that up")
        program = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *program]

    answer = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    assert answer.returncode == 2
    assert "not checked" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_nothing_is_created_in_a_workspace_by_checking_it(sidecar, example_workspace: Path):
    before = sorted(path for path in example_workspace.rglob("*"))

    sidecar("check", str(example_workspace))

    assert sorted(path for path in example_workspace.rglob("*")) == before


def test_a_link_to_the_outside_is_not_checked_and_the_other_files_are(sidecar, tmp_path: Path):
    secret = put(tmp_path, "outside/secret", "- [] secret\n")
    put(tmp_path, "inside/.roomodes", BROKEN)
    (tmp_path / "inside" / "TODO.md").symlink_to(secret)

    answer = sidecar("check", "inside")

    assert answer.returncode == 2
    assert "inside/.roomodes:5:14: error RM006" in answer.stdout
    assert "inside/TODO.md: not checked: `TODO.md` leads outside the workspace." in answer.stdout
    assert "secret" not in answer.stdout


def test_a_code_that_no_rule_has_is_refused(sidecar, tmp_path: Path):
    put(tmp_path, ".roomodes", BROKEN)

    answer = sidecar("check", "--select", "RM,RM99", ".roomodes")

    assert answer.returncode == 2
    assert "No rule's code starts with `RM99`" in answer.stderr


def test_a_missing_file_of_any_name_is_called_missing(sidecar):
    assert "There is no such file" in sidecar("check", "nothing-here").stdout


STEERING = BROKEN.replace("a b", r'"\e]0;owned\x07\e[2J\nnext\u202E"')


def test_text_of_the_workspace_cannot_steer_the_terminal_or_begin_a_line(sidecar, tmp_path: Path):
    put(tmp_path, ".roomodes", STEERING)

    answer = sidecar("check", ".roomodes")

    assert "`<U+001B>]0;owned<U+0007><U+001B>[2J next<U+202E>`" in answer.stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(answer.stdout)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_without_utf_8_gets_every_finding(sidecar, tmp_path: Path, encoding: str):
    put(tmp_path, ".roomodes", BROKEN.replace("a b", "🔧"))

    answer = sidecar("check", ".roomodes", PYTHONIOENCODING=encoding)

    assert answer.returncode == 1
    assert r"The slug `\U0001f527` may" in answer.stdout
    called = sidecar("call", "get_mode_capabilities", PYTHONIOENCODING=encoding)
    assert json.loads(called.stdout)["success"]


def test_a_place_in_sarif_is_a_uri(sidecar, tmp_path: Path):
    put(tmp_path, "100% a b/.roomodes", BROKEN)

    run = json.loads(sidecar("check", "--format", "sarif", "100% a b").stdout)["runs"][0]

    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "100%25%20a%20b/.roomodes"


def test_settings_that_are_not_taken_are_findings_with_their_place_and_not_said_twice(
    sidecar, tmp_path: Path
):
    put(tmp_path, "pyproject.toml", '[tool.sidecar]\n# mine\ninterpreter = "./evil"\n')
    put(tmp_path, "TODO.md", "- [ ] one\n")

    answer = sidecar("check")

    assert "pyproject.toml:3:1: warning ST002: `interpreter` is the user's to set" in answer.stdout
    assert (answer.returncode, answer.stderr) == (0, "")
    assert sidecar("check", "--fail-on", "warning").returncode == 1
    assert "`interpreter` is the user's to set" in sidecar("check", "TODO.md").stderr


def test_no_fix_replaces_the_table_that_a_misspelt_setting_lies_in(sidecar, tmp_path: Path):
    text = "tool = { sidecar = { memory_line_limits = 200 } }\n"
    file = put(tmp_path, "pyproject.toml", text)

    assert "pyproject.toml:1:1: warning ST003" in sidecar("check").stdout
    sidecar("fix", "--unsafe", "pyproject.toml")
    assert file.read_text() == text


def test_a_settings_file_without_mistakes_is_listed_where_it_was_named_alone(
    sidecar, tmp_path: Path
):
    put(tmp_path, "sidecar.toml", 'timezone = "UTC"\n')
    put(tmp_path, "pyproject.toml", "no toml at all, and none of ours")
    put(tmp_path, "TODO.md", "- [ ] one\n")

    found = json.loads(sidecar("check", "--format", "json").stdout)["files"]
    named = json.loads(sidecar("check", "--format", "json", "sidecar.toml").stdout)["files"]

    assert [Path(file["path"]).name for file in found] == ["TODO.md"]
    assert [(file["path"], file["kind"]) for file in named] == [("sidecar.toml", "settings")]


@pytest.mark.parametrize("folder", [".", "inner", ".roo"])
def test_settings_are_those_of_the_folder_that_they_lie_in(sidecar, tmp_path: Path, folder: str):
    put(tmp_path, f"{folder}/sidecar.toml", "port = 1\n")

    assert "sidecar.toml:1:1: warning ST002" in sidecar("check").stdout
    (told,) = json.loads(
        sidecar("check", "--format", "json", "sidecar.toml", cwd=tmp_path / folder).stdout
    )["files"]
    assert [finding["code"] for finding in told["findings"]] == ["ST002"]


def test_settings_of_the_user_are_still_said_on_stderr(
    sidecar, tmp_path: Path, user_directory: Path
):
    put(tmp_path, "TODO.md", "- [ ] one\n")
    put(user_directory, "config/config.toml", "colour = 1\n")

    assert "There is no setting `colour`." in sidecar("check").stderr
