"""Our counts beside pytest's and coverage's own on public packages: `tests/packages/run.py`.

Downloads each package's sdist by pip, gives it an environment of its own, runs plain pytest,
`coverage run` and the harness, and compares them test by test and line by line. Prints a table,
writes state/reports/packages.{json,md}, ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
REPORTS = REPOSITORY / "state/reports"
LIMIT_SECONDS = 550
USUAL = ("iniconfig", "pluggy", "itsdangerous")
# A package's name, and what its tests import besides pytest and coverage. The last has 62,000
# tests, so only those who name it wait for it.
PACKAGES = {
    "iniconfig": (),
    "pluggy": ("pytest-benchmark",),
    "itsdangerous": ("freezegun",),
    "packaging": ("pretend", "hypothesis", "tomli_w", "pip"),
}
# `pytest -v` prints a line for each test; a broken tear-down gives a second one.
LINE = re.compile(
    r"^(\S.*?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b.*\[ *\d+%\]$", re.MULTILINE
)
WORDS = {
    "PASSED": "passed", "XPASS": "passed", "FAILED": "failed", "ERROR": "error",
    "SKIPPED": "skipped", "XFAIL": "skipped",
}  # fmt: skip
WORSE = ("passed", "skipped", "failed", "error")


@dataclass(frozen=True)
class Row:
    """What one package gave; each pair is ours and the tools' own."""

    package: str
    tests: tuple[int, int]
    agreeing_tests: int
    passed: tuple[int, int]
    failed: tuple[int, int]
    skipped: tuple[int, int]
    exit: tuple[int, int]
    covered: tuple[str, str]
    files: int
    agreeing_files: int
    without_assertions: int
    seconds: tuple[float, float]

    @property
    def agrees(self) -> bool:
        """Whether every test, count, line and exit code is the same."""
        pairs = (self.tests, self.passed, self.failed, self.skipped, self.covered)
        same = all(ours == theirs for ours, theirs in pairs)
        whole = self.agreeing_tests == self.tests[1] and self.agreeing_files == self.files
        return same and whole and (self.exit[0] == 0) == (self.exit[1] == 0)


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without what surrounds us in the environment."""
    dropped = ("PYTEST_", "COVERAGE_", "PYTHONPATH", "VIRTUAL_ENV")
    env = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8",
        errors="replace", timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip


def fetch(package: str, folder: Path) -> Path:
    """The unpacked sdist."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    done = run([*pip, "--no-deps", "--no-binary", package, package], folder)
    archives = list(folder.glob("*.tar.gz"))
    if not archives:
        raise SystemExit(f"{package}: no sdist.\n{done.stderr[-500:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    return next(path.parent for path in folder.glob("*/pyproject.toml"))


def environment(root: Path, needs: tuple[str, ...], folder: Path) -> Path:
    """The Python of a new environment with the package and what its tests need."""
    venv = folder / "environment"
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)], folder)
    python = venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    done = run([*pip, "pytest", "coverage", *needs, "--editable", str(root)], folder)
    if done.returncode:
        raise SystemExit(f"{root.name}: {done.stderr[-500:]}")
    return python


def plain(python: Path, root: Path) -> tuple[dict[str, str], int, float]:
    """Each test's status as pytest prints it, its exit code, and seconds."""
    start = time.perf_counter()
    done = run([str(python), "-P", "-m", "pytest", "-v", "-p", "no:cacheprovider"], root)
    seconds = time.perf_counter() - start
    found: dict[str, str] = {}
    for name, word in LINE.findall(done.stdout):
        found[name] = max(found.get(name, "passed"), WORDS[word], key=WORSE.index)
    return found, done.returncode, seconds


def covered(python: Path, root: Path, folder: Path) -> Any:
    """The JSON report of `coverage run -m pytest`."""
    data, out = folder / "own.data", folder / "own.json"
    at = [f"--data-file={data}"]
    tool = [str(python), "-P", "-m", "coverage"]
    run([*tool, "run", "--branch", *at, "-m", "pytest", "-q", "-p", "no:cacheprovider"], root)
    if not data.exists():  # the project measures in parallel mode
        run([*tool, "combine", *at, str(folder)], root)
    run([*tool, "json", *at, "-o", str(out)], root)
    return json.loads(out.read_text(encoding="utf-8"))


def validated(python: Path, root: Path, folder: Path) -> tuple[Any, Any, int, float]:
    """Our report, the lines behind it, our exit code, and seconds."""
    out, artefacts = folder / "report.json", folder / "artefacts"
    start = time.perf_counter()
    done = run(
        [sys.executable, "-P", "-m", "validation", str(root), "--allow-code", "--quiet",
         f"--python={python}", "--category=tests", "--category=coverage", "--category=assertions",
         f"--json={out}", f"--artefacts={artefacts}"],
        folder,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    report = json.loads(out.read_text(encoding="utf-8"))
    lines = json.loads((artefacts / "pytest/coverage.json").read_text(encoding="utf-8"))
    return report, lines, done.returncode, seconds


def compare(package: str, folder: Path) -> Row:
    """Fetch, run thrice, compare."""
    root = fetch(package, folder)
    python = environment(root, PACKAGES[package], folder)
    theirs, their_exit, their_seconds = plain(python, root)
    own = covered(python, root, folder)
    report, lines, our_exit, our_seconds = validated(python, root, folder)
    ours = {c["id"]: c["status"] for c in report["checks"] if c["category"] == "tests"}
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            print(f"  {package}: {name}: ours {ours.get(name)}, pytest's {theirs.get(name)}")
    words = [*ours.values()], [*theirs.values()]
    return Row(
        package=root.name,
        tests=(len(ours), len(theirs)),
        agreeing_tests=sum(ours.get(name) == status for name, status in theirs.items()),
        passed=(words[0].count("passed"), words[1].count("passed")),
        failed=tuple(w.count("failed") + w.count("error") for w in words),  # type: ignore[arg-type]
        skipped=(words[0].count("skipped"), words[1].count("skipped")),
        exit=(our_exit, their_exit),
        covered=(_total(report["coverage"]["total"]), _own_total(own["totals"])),
        files=len({*own["files"], *lines["files"]}),
        agreeing_files=sum(_same(package, name, own, lines) for name in own["files"]),
        without_assertions=sum(f["rule"] == "no-assertion" for f in report.get("findings", ())),
        seconds=(our_seconds, their_seconds),
    )


def _total(total: dict[str, int]) -> str:
    return f"{total['numerator']}/{total['denominator']}"


def _own_total(totals: dict[str, int]) -> str:
    numerator = totals["covered_lines"] + totals.get("covered_branches", 0)
    return f"{numerator}/{totals['num_statements'] + totals.get('num_branches', 0)}"


def _same(package: str, name: str, own: Any, lines: Any) -> bool:
    """Whether the same lines and branches of a file were executed and missed."""
    keys = ("executed_lines", "missing_lines", "executed_branches", "missing_branches")
    theirs, ours = own["files"][name], lines["files"].get(name, {})
    different = [key for key in keys if theirs.get(key) != ours.get(key)]
    for key in different:
        odd = sorted({*map(str, theirs.get(key) or ())} ^ {*map(str, ours.get(key) or ())})
        print(f"  {package}: {name}: {key} differ in {len(odd)}: {', '.join(odd[:10])}")
    return not different


def table(rows: list[Row]) -> str:
    """The rows as Markdown; each pair is ours and the tools' own."""
    head = ("package", "tests", "same status", "passed", "failed", "skipped", "exit",
            "statements and branches", "same files", "no assertion", "seconds", "")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in rows:
        pairs = (row.passed, row.failed, row.skipped, row.exit, row.covered)
        shown = [f"{a} : {b}" for a, b in pairs]
        cells = [row.package, f"{row.tests[0]} : {row.tests[1]}",
                 f"{row.agreeing_tests}/{row.tests[1]}", *shown,
                 f"{row.agreeing_files}/{row.files}", str(row.without_assertions),
                 f"{row.seconds[0]:.1f} : {row.seconds[1]:.1f}",
                 "equal" if row.agrees else "DIFFERENT"]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Compare all, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", nargs="*", help=f"one of {', '.join(PACKAGES)}")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="write them as JSON too")
    options = parser.parse_args()
    names = options.package or list(USUAL)
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="sidecar-packages-") as folder:
            rows.append(compare(name, Path(folder).resolve()))
    text = table(rows)
    print(text)
    print(f"{sum(row.agrees for row in rows)} of {len(rows)} packages agree in everything")
    REPORTS.mkdir(parents=True, exist_ok=True)
    data = [{**asdict(row), "agrees": row.agrees} for row in rows]
    (REPORTS / "packages.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    (REPORTS / "packages.md").write_text(f"{text}\n", encoding="utf-8")
    if options.figures:
        options.figures.write_text(json.dumps([figure(row) for row in rows]), encoding="utf-8")
    return 0 if all(row.agrees for row in rows) else 1


def figure(row: Row) -> dict[str, object]:
    """A package as one figure: the share of its tests and files that agree."""
    good, of = row.agreeing_tests + row.agreeing_files, row.tests[1] + row.files
    said = f"{row.agreeing_tests} of {row.tests[1]} tests with pytest's own status, "
    said += f"{row.agreeing_files} of {row.files} files with coverage's own lines and branches "
    said += f"({row.covered[0]} and {row.covered[1]} executed)"
    return {"name": row.package, "value": 100 * good / of, "unit": "%", "definition": said}


if __name__ == "__main__":
    sys.exit(main())
