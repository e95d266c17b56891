"""Plant ten defects, one at a time, in a copy of the last commit: `tests/planted/run.py [NAME...]`.

For each the smallest part of `make validate` that must fail is run on the copy, as `make validate`
runs it. A defect is found where that category fails and names a check that did not fail before.
Prints a line each and n/10; ends with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 300


@dataclass(frozen=True)
class Defect:
    """One text in one file replaced by another, and what must fail because of it.

    ``category`` is the category of the report, ``pytest`` what of its tests is run.
    """

    name: str
    file: str
    old: str
    new: str
    category: str
    pytest: tuple[str, ...] = ()


FUTURE = "from __future__ import annotations\n"
DEFECTS = (
    Defect("lint error", "sidecar/domain/tsv.py", FUTURE, f"{FUTURE}\nimport json\n", "lint"),
    Defect(
        "type error", "validation/junit.py", FUTURE, f'{FUTURE}\nPLANTED: int = "text"\n', "types"
    ),
    Defect(
        "broken import contract", "sidecar/domain/tsv.py", FUTURE,
        f"{FUTURE}\nimport sidecar.settings\n", "import contracts",
    ),
    Defect(
        "wrong verdict of a rule", "sidecar/rules/memory.py", "    if over <= 0:\n",
        "    if over <= 2:\n", "tests", ("tests/rules/test_pages.py",),
    ),
    Defect(
        "torn write", "sidecar/workspace/replacing.py",
        "        view = view[os.write(descriptor, view) :]\n",
        "        os.write(descriptor, view[: max(1, len(view) // 2)])\n        return\n",
        "integration with the files", ("tests/workspace/test_files.py",),
    ),
    Defect(
        "tool gone from the registry", "sidecar/services/registry.py", "    get_todo_status,\n", "",
        "tool functionality", ("tests/services/test_pattern.py",),
    ),
    Defect(
        "path that leaks in an error", "sidecar/services/calling.py",
        "            return _answer(tool, context, request)\n",
        """            try:
                return _answer(tool, context, request)
            except SidecarError as error:
                told = f"{error} ({context.workspace.root})"
                raise SidecarError(error.code, told) from None
""",
        "tool functionality", ("tests/services/test_contract_filesystem.py",),
    ),
    Defect(
        "broken transport", "sidecar/mcp/http.py", 'Route("/sse"', 'Route("/events"',
        "transports", ("tests/faces", "-knothing_of_this_name"),
    ),
    Defect(
        "figure over its threshold", "sidecar/settings.py",
        "    ] = 3600\n", "    ] = 3601\n", "performance",
    ),
    Defect(
        "stale generated page", "sidecar/rules/REFERENCE.md", "300 unless the settings say",
        "400 unless the settings say", "tests",
        ("tests/test_docs.py::test_generated_pages_and_shown_output_are_current",),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What the validation of a copy said of one category."""

    verdict: str
    bad: frozenset[str]
    passed: int
    code: int


def copy(folder: Path) -> Path:
    """The project as it was committed last: what somebody is writing at the moment fails nothing.

    Raises CalledProcessError where git does not keep the project.
    """
    target, packed = folder / REPOSITORY.name, folder / "committed.tar"
    command = ["git", "archive", "--format=tar", f"--output={packed}", "HEAD"]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=LIMIT_SECONDS)
    with tarfile.open(packed) as archive:
        archive.extractall(target, filter="data")
    packed.unlink()
    return target


def validated(root: Path, defect: Defect, out: Path) -> Finding:
    """The part of `make validate` that is to find a defect, run on a copy."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "SIDECAR_"))}
    command = [sys.executable, "-P", "-m", "validation", str(root), "--allow-code", "--quiet"]
    wanted = [f"--category={defect.category}", *(f"--pytest={word}" for word in defect.pytest)]
    done = subprocess.run(
        [*command, *wanted, f"--python={sys.executable}", f"--json={out}"],
        cwd=root, env={**env, "PYTHONPATH": str(root)}, capture_output=True,
        timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    (category,) = (c for c in report["categories"] if c["name"] == defect.category)
    checks = [c for c in report["checks"] if c["category"] == defect.category]
    failed = {c["id"] for c in checks if c["status"] in ("failed", "error")}
    # A linter is one check with many findings; where it fails already, a new one tells.
    told = {
        f"{f['file']}: {f['rule']}"
        for f in report["findings"]
        if f["level"] == "error" and f["file"] == defect.file
    }
    bad = frozenset(failed | told)
    return Finding(category["verdict"], bad, category["passed"], done.returncode)


def found(defect: Defect, root: Path, out: Path) -> tuple[bool, str]:
    """Whether validation passes without the defect and names it with it."""
    path = root / defect.file
    whole = path.read_text(encoding="utf-8")
    if defect.old not in whole:
        return False, f"{defect.file} no longer has the text to replace"
    before = validated(root, defect, out)
    try:
        path.write_text(whole.replace(defect.old, defect.new, 1), encoding="utf-8")
        after = validated(root, defect, out)
    finally:
        path.write_text(whole, encoding="utf-8")
    new = sorted(after.bad - before.bad)
    told = f"{len(new)} that did not fail now do: {', '.join(new[:2])}" if new else "not found"
    if before.bad:
        told += f"; {len(before.bad)} failed without it"
    failed = after.verdict == "failed" and after.code == 1
    return failed and bool(new) and before.passed + len(before.bad) > 0, told


def main() -> int:
    """Plant all, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", help=f"one of {', '.join(d.name for d in DEFECTS)}")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="write them as JSON too")
    options = parser.parse_args()
    wanted = options.name
    chosen = [d for d in DEFECTS if not wanted or any(word in d.name for word in wanted)]
    count = 0
    with tempfile.TemporaryDirectory(prefix="sidecar-planted-") as name:
        folder = Path(name).resolve()
        root = copy(folder)
        for defect in chosen:
            good, told = found(defect, root, folder / "report.json")
            count += good
            word = "found" if good else "MISSED"
            print(f"{word}: {defect.name}, by {defect.category}: {told}", flush=True)
    print(f"{count}/{len(chosen)} planted defects found")
    if options.figures:
        said = f"of {len(chosen)} planted one at a time, each named by the category that must fail"
        entry = {"name": "planted defects found", "value": count, "unit": "defects"}
        options.figures.write_text(json.dumps([{**entry, "definition": said}]), encoding="utf-8")
    return 0 if count == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
