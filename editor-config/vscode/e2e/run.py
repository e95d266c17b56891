"""Drive the extension in a real VS Code and check what a user would see.

``run.py [--pictures FOLDER]``: exit 0 when all holds, 1 when something does not, 77 when the
machine lacks what it takes (said as "not run: …").
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import codeserver  # noqa: E402
import node  # noqa: E402
import vsix  # noqa: E402

NOT_RUN = 77
SCENARIO_SECONDS = 240
SETTLE = 3000  # ms in which what is going to happen happens
EXAMPLE = node.ROOT / "examples" / "workspace"
OPENED = [".roomodes", ".roo/schedules.json", "TODO.md"]
# What VS Code itself may start from a trusted folder: its git extension calls git.
STARTED_BY_GIT = ["fsmonitor", "filter", "textconv", "credential"]
# VS Code lists no hints among its problems.
LISTED = {"error": "Error", "warning": "Warning", "info": "Info"}
USER_SETTINGS = {
    "workbench.startupEditor": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "chat.disableAIFeatures": True,
    "extensions.autoCheckUpdates": False,
    "security.workspace.trust.startupPrompt": "never",
    "git.openRepositoryInParentFolders": "never",
    "editor.minimap.enabled": False,
    "files.autoSave": "off",
}


def check(folder: Path, environment: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """What `sidecar check` finds, by file: the editor must show the same."""
    command = ["sidecar", "check", "--format", "json", "--workspace", str(folder)]
    options = {"cwd": folder, "env": dict(environment), "capture_output": True, "timeout": 60}
    result = subprocess.run(command, check=False, **options)
    if result.returncode not in {0, 1}:
        raise RuntimeError(f"sidecar check: {result.stderr.decode()}")
    files = json.loads(result.stdout)["files"]
    return {os.path.relpath(folder / file["path"], folder): file["findings"] for file in files}


def counts(found: Mapping[str, list[dict[str, Any]]]) -> dict[str, int]:
    """How many problems VS Code is to list for each file."""
    listed = Counter(
        path for path, findings in found.items() for one in findings if one["severity"] in LISTED
    )
    return dict(listed)


def labels(folder: Path, found: Mapping[str, list[dict[str, Any]]]) -> list[list[str]]:
    """What the line of each problem must say: severity, message, line and column."""
    wanted = []
    for path, findings in found.items():
        lines = (folder / path).read_text("utf-8").split("\n")
        for finding in (one for one in findings if one["severity"] in LISTED):
            start = finding["range"]["start"]
            before = lines[start["line"]][: start["character"]]
            column = len(before.encode("utf-16-le")) // 2 + 1  # VS Code counts UTF-16 units
            message = finding["message"].splitlines()[0]
            place = f"at line {start['line'] + 1} and character {column}."
            wanted.append([f"{LISTED[finding['severity']]}: {message}", place])
    return wanted


def repaired(text: str, edits: list[dict[str, Any]]) -> str:
    """The text with the edits of a fix applied."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def offset(place: Mapping[str, int]) -> int:
        return starts[place["line"]] + place["character"]

    spans = [(offset(e["range"]["start"]), offset(e["range"]["end"]), _new(e)) for e in edits]
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _new(edit: Mapping[str, Any]) -> str:
    return str(edit["text"] if "text" in edit else edit["newText"])


def fix_of(
    folder: Path, found: Mapping[str, list[dict[str, Any]]], environment: Mapping[str, str]
) -> dict[str, Any]:
    """The first repair of the mode file: what to click, and what must come of it."""
    path = ".roomodes"
    finding = next(one for one in found[path] if one["fix"] and one["severity"] in LISTED)
    file = folder / path
    after = repaired(file.read_text("utf-8"), finding["fix"]["edits"])
    copy = folder.parent / "repaired"
    shutil.copytree(folder, copy)
    (copy / path).write_text(after, "utf-8")
    return {
        "path": path,
        "file": str(file),
        "message": finding["message"].splitlines()[0],
        "title": finding["fix"]["title"],
        "after": after,
        "problems": counts(check(copy, environment)),
    }


@dataclass(frozen=True)
class Run:
    """One scenario in a fresh profile."""

    name: str
    folder: Path
    profile: codeserver.Profile
    environment: dict[str, str]
    pictures: Path

    def drive(self, *options: str, **plan: Any) -> bool:
        """Serve VS Code, let the browser act, say whether all was as expected."""
        log = self.pictures / f"code-server-{self.name}.log"
        with codeserver.running(self.profile, self.environment, *options, log=log) as address:
            path = self.profile.folder / f"{self.name}.json"
            common = {
                "scenario": self.name,
                "address": address,
                "folder": str(self.folder),
                "pictures": str(self.pictures),
                "chromium": str(codeserver.chromium()),
                "modules": str(codeserver.HOME / "package.json"),
                "machineSettings": str(self.profile.data / "Machine" / "settings.json"),
            }
            path.write_text(json.dumps({**common, **plan}))
            return codeserver.run_bounded(
                [str(node.node_program()), str(HERE / "drive.mjs"), str(path)],
                self.environment,
                seconds=SCENARIO_SECONDS,
            )


def diagnose(scratch: Path, package: Path, pictures: Path) -> bool:
    """The sample workspace: squiggles, Problems, a quick fix, a missing program."""
    run = prepared("diagnose", scratch / "diagnose", package, pictures)
    shutil.copytree(EXAMPLE, run.folder)
    found = check(run.folder, run.environment)
    fix = fix_of(run.folder, found, run.environment)
    return run.drive(
        "--disable-workspace-trust",
        str(run.folder),
        open=[path for path in OPENED if counts(found).get(path)],
        problems=counts(found),
        labels=labels(run.folder, found),
        fix=fix,
        settle=SETTLE,
    )


def unsaved(scratch: Path, package: Path, pictures: Path) -> bool:
    """A file with unsaved text that an agent changes: the editor does it, and the disk stays."""
    run = prepared("unsaved", scratch / "unsaved", package, pictures)
    shutil.copytree(EXAMPLE, run.folder)
    file = run.folder / ".roo" / "schedules.json"
    saved = file.read_text("utf-8")
    mode, interval = "implementation-core", '"timeInterval": "10"'
    typed = saved.replace(mode, f"{mode}x", 1)
    return run.drive(
        "--disable-workspace-trust",
        str(run.folder),
        path=".roo/schedules.json",
        file=str(file),
        schedule="1745000000001",
        saved=saved,
        typeAt={"line": saved[: saved.index(mode)].count("\n") + 1, "back": 2, "text": "x"},
        mistake=f"{mode}x",
        typed=typed,
        change={
            "action": "update",
            "schedule_id": "1745000000001",
            "update_fields": {"timeInterval": "25"},
        },
        changedLine='"timeInterval": "25"',
        changed=typed.replace(interval, '"timeInterval": "25"', 1),
        # A short pause comes soon after these, and none in the time that a change waits for it.
        race=["abcdefghij"] * 3 + ["abcdefghij" * 30] * 2,
        raced=saved.replace(mode, f"{mode}xTYPED", 1).replace(
            interval, '"timeInterval": "INTERVAL"', 1
        ),
    )


def folders(scratch: Path, package: Path, pictures: Path) -> bool:
    """Two folders, then one within the second: each one's agents see what is typed there."""
    run = prepared("folders", scratch / "folders", package, pictures)
    home = run.folder.parent
    first, second, inner = home / "first", home / "second", home / "second" / "inner"
    for folder in (first, second, inner):
        folder.mkdir()
    (first / "task_timing.tsv").write_text("timestamp\ttask\nno date\n", "utf-8")
    shutil.copyfile(EXAMPLE / ".roomodes", second / ".roomodes")
    (second / "test_one.py").write_text("def test_one():\n    assert True\n", "utf-8")
    (inner / "TODO.md").write_text("# TODO\n- [] one\n", "utf-8")
    modes = (second / ".roomodes").read_text("utf-8")
    todo = (inner / "TODO.md").read_text("utf-8")
    typed = modes.replace("      - edit\n", "      - editx\n", 1)
    line = modes[: modes.index("      - edit\n")].count("\n") + 1
    saved = counts(check(first, run.environment)) | _root_counts(second, run.environment)
    (second / ".roomodes").write_text(typed, "utf-8")
    broken = {**saved, **_root_counts(second, run.environment)}
    (second / ".roomodes").write_text(modes, "utf-8")
    opened = [{"path": str(folder)} for folder in (first, second)]
    file = home / "loop.code-workspace"
    file.write_text(json.dumps({"folders": opened}), "utf-8")
    return replace(run, folder=file).drive(
        "--disable-workspace-trust",
        str(file),
        agents={"first": str(first), "second": str(second), "inner": str(inner)},
        modes={"line": line, "text": "x", "typed": typed, "mistake": "editx"},
        plan={"line": 2, "text": " more", "typed": todo.replace("one", "one more")},
        problems={
            "saved": saved,
            "typed": broken,
            "inner": {**broken, **counts(check(inner, run.environment))},
        },
        folders=opened,
        more=[*opened, {"path": str(inner)}],
        settle=SETTLE,
    )


def _root_counts(folder: Path, environment: Mapping[str, str]) -> dict[str, int]:
    """The problems of a folder's own files: those below are listed when they are opened."""
    found = counts(check(folder, environment))
    return {path: count for path, count in found.items() if "/" not in path}


def hostile(scratch: Path, package: Path, pictures: Path, *, trusted: bool) -> bool:
    """A clone full of traps: its files are diagnosed, nothing of it is executed."""
    name = "trusted" if trusted else "restricted"
    run = prepared(name, scratch / name, package, pictures)
    spec = importlib.util.spec_from_file_location(
        "hostile_clone", node.ROOT / "tests" / "faults" / "hostile_clone.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["hostile_clone"] = module
    spec.loader.exec_module(module)
    clone = module.HostileClone(run.folder, scratch / name / "canary").build()
    options = ["--disable-workspace-trust"] if trusted else []
    return run.drive(
        *options,
        str(run.folder),
        open=[".roomodes"],
        problems=counts(check(run.folder, run.environment)),
        canary=str(clone.canary),
        settle=SETTLE,
        othersMayRun=STARTED_BY_GIT,
    )


def prepared(name: str, scratch: Path, package: Path, pictures: Path) -> Run:
    """A fresh profile with the extension in it."""
    profile = codeserver.Profile(scratch / "profile")
    profile.folder.mkdir(parents=True)
    profile.configure(USER_SETTINGS)
    profile.configure({}, place="Machine")
    environment = profile.environment(codeserver.install(), Path(sys.executable).parent)
    codeserver.add_extension(profile, environment, package)
    return Run(name, scratch / "workspace", profile, environment, pictures)


SCENARIOS = {
    "diagnose": diagnose,
    "unsaved": unsaved,
    "folders": folders,
    "restricted": lambda *where: hostile(*where, trusted=False),
    "trusted": lambda *where: hostile(*where, trusted=True),
}


def main() -> int:
    """Run the scenarios one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, default=node.BUILD / "vscode" / "screenshots")
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="default: all")
    options = parser.parse_args()
    if os.name == "nt" or sys.platform == "darwin":
        print("not run: code-server is driven on Linux only")
        return NOT_RUN
    try:
        codeserver.chromium()
        codeserver.install()
    except codeserver.NotRunError as reason:
        print(f"not run: {reason}")
        return NOT_RUN
    package = vsix.PACKAGE if vsix.is_current() else vsix.build()
    options.pictures.mkdir(parents=True, exist_ok=True)
    passed = []
    names = options.only or list(SCENARIOS)
    for name in names:
        begun = time.monotonic()
        print(f"{name}:", flush=True)
        with tempfile.TemporaryDirectory(prefix="sidecar-vscode-") as scratch:
            passed.append(SCENARIOS[name](Path(scratch), package, options.pictures.resolve()))
        print(f"{'passed' if passed[-1] else 'FAILED'} in {time.monotonic() - begun:.0f} s")
    print(f"{sum(passed)} of {len(names)} scenarios in a real VS Code passed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
