"""Take the pictures of the HTML report: `python docs/report_images.py [--pictures FOLDER]`.

A small project is validated again and again while it grows, so that the report has trends, a
flaky test, changed lines and benchmarks; then Chromium shows it at 390 and 1280 px, light and
dark. Exit 1 where a page is wider than its screen, loads anything or complains; 77 where there
is no Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "editor-config" / "vscode"))

import node  # noqa: E402

PLAYWRIGHT = "playwright-core@1.65.1"
NOT_RUN = 77
RUNS = 10
IMAGES = REPOSITORY / "docs" / "images"
SETTINGS = """\
[project]
name = "till"

[tool.pytest.ini_options]
pythonpath = ["."]
addopts = "-p pytest_benchmark.plugin --benchmark-max-time=0.1"

[tool.coverage.run]
branch = true
source = ["till"]

[tool.ruff]

[tool.sidecar.validation]
thresholds = { rate = 1.0, coverage = 70, changed_coverage = 80 }
"""
PART = '''

def discount_{n}(cents: int, pieces: int) -> int:
    """Rule {n} of the price list."""
    if pieces > {n}:
        return cents * (100 - {n}) // 100
    return cents
'''
TEST = """

def test_discount_{n}_from_the_next_piece_on():
    assert till.discount_{n}(1000, {n} + 1) == 1000 * (100 - {n}) // 100


def test_discount_{n}_not_before():
    assert till.discount_{n}(1000, {n}) == 1000
"""
FLAKY = """

def test_receipt_is_printed_in_time():
    mark = pathlib.Path(__file__).parent / ".cache"
    mark.mkdir(exist_ok=True)
    runs = len(list(mark.iterdir()))
    (mark / str(runs)).touch()
    assert runs != 5, "the printer did not answer within 2 s"


@pytest.mark.skipif(True, reason="needs the shop's scales")
def test_weighing():
    pass
"""
BENCHMARKS = """\
import till


def test_sum_of_a_basket(benchmark):
    benchmark(lambda: sum(till.discount_1(cents, 3) for cents in range(2000)))


def test_print_a_receipt(benchmark):
    benchmark(lambda: "\\n".join(f"{cents / 100:8.2f}" for cents in range(1000)))
"""


def grow(root: Path, number: int) -> None:
    """The project as it is at one run; the last one has a mistake and an unused import."""
    parts = range(1, max(1, number - 1) + 1)
    code = '"""Prices at the till."""\n' + "".join(PART.format(n=n) for n in parts)
    tests = "import pathlib\n\nimport pytest\n\nimport till\n" + FLAKY
    tests += "".join(TEST.format(n=n) for n in parts[: max(1, number - 2)])
    if number == RUNS:
        code = code.replace("cents * (100 - 3) // 100", "cents * (100 - 4) // 100")
        code = code.replace('till."""\n', 'till."""\n\nimport os\n')
    write(root, {"till.py": code, "tests/test_till.py": tests})


def write(root: Path, files: dict[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def validated(scratch: Path) -> Path:
    """The HTML report of the last of ten runs."""
    root, page = scratch / "till", scratch / "report.html"
    write(root, {"pyproject.toml": SETTINGS, "benchmarks/test_speed.py": BENCHMARKS})
    command = [sys.executable, "-P", "-m", "validation", str(root), "--allow-code", "--quiet"]
    command += [f"--python={sys.executable}", f"--state={scratch / 'state'}", f"--html={page}"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for number in [1, 2, 3, 4, 5, 5, *range(6, RUNS + 1)]:
        grow(root, number)
        if number == RUNS - 1:
            commit(root)
        subprocess.run(command, env=environment, check=False, timeout=300)  # noqa: S603 - our own harness
        print(f"run {number} of {RUNS}", flush=True)
    return page


def commit(root: Path) -> None:
    """Let git know the project, so that changed lines can be told."""
    who = ["-c", "user.name=Till", "-c", "user.email=till@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "Sell"]):
        subprocess.run(["git", *words], cwd=root, check=True, timeout=60)  # noqa: S603, S607 - a scratch project


def chromium() -> str | None:
    """The system's Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def shoot(page: Path, pictures: Path, browser: str) -> int:
    """Show the page in Chromium; the exit status of the script that judges it."""
    home = node.BUILD / "playwright"
    environment = node.node_environment()
    if not (home / "node_modules" / "playwright-core").is_dir():
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}\n')
        node.npm(environment, home, "install", "--ignore-scripts", "--no-audit", "--no-fund",
                 PLAYWRIGHT)  # fmt: skip
    plan = {
        "modules": str(home / "package.json"),
        "chromium": browser,
        "page": page.as_uri(),
        "pictures": str(pictures),
    }
    script = Path(__file__).with_name("report_images.mjs")
    command = [str(node.node_program()), str(script), json.dumps(plan)]
    done = subprocess.run(command, env=environment, check=False, timeout=180)  # noqa: S603 - Node of our own
    return done.returncode


def main() -> int:
    """Validate, show, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, default=IMAGES)
    parser.add_argument("--page", type=Path, help="show this report instead of making one")
    options = parser.parse_args()
    browser = chromium()
    if browser is None:
        print("not run: Chromium is not installed (Debian: apt-get install chromium)")
        return NOT_RUN
    options.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sidecar-report-") as scratch:
        page = options.page or validated(Path(scratch))
        return shoot(page.resolve(), options.pictures.resolve(), browser)


if __name__ == "__main__":
    sys.exit(main())
