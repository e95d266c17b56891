"""The official conformance suite and the MCP Inspector against our HTTP stack and our stdio.

Both come from npm, for the Node of this repository; where they cannot be had, all is skipped. Every
line names a count and what it is out of. The exit code is 1 where a required scenario fails.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "workspace"
PACKAGES = ROOT / "build" / "conformance"
SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
LIMIT = 300

sys.path[:0] = [str(ROOT / "editor-config" / "vscode")]

import node  # noqa: E402 - the repository's Node, which is no package

# What each revision requires of any server, whatever its tools and resources are called.
OF_ANY_SERVER = {
    "2025-11-25": (
        "server-initialize", "ping", "completion-complete", "tools-list", "resources-list",
        "prompts-list", "server-sse-multiple-streams", "dns-rebinding-protection",
    ),
    "2026-07-28": (
        "completion-complete", "tools-list", "resources-list", "prompts-list", "caching",
        "server-sse-multiple-streams", "sep-2164-resource-not-found", "dns-rebinding-protection",
        "input-required-result-unsupported-methods",
    ),
}  # fmt: skip
_VERDICT = re.compile(r"^([✓✗]) (\S+): (\d+) passed, (\d+) failed", re.MULTILINE)
_UNSCORED = re.compile(r"^  [✓✗] (\S+) \(", re.MULTILINE)


@dataclass(frozen=True)
class Tools:
    """Where Node and the two packages are."""

    environment: dict[str, str]

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a package's script; its output is kept."""
        path = PACKAGES / "node_modules" / "@modelcontextprotocol" / script
        return subprocess.run(
            [str(node.node_program()), str(path), *arguments],
            env=self.environment,
            cwd=PACKAGES,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=LIMIT,
            check=False,
        )


def installed() -> Tools:
    """The packages, fetched at the first call; raises OSError, CalledProcessError."""
    environment = node.node_environment()
    wanted = PACKAGES / "installed.txt"
    names = f"{SUITE}\n{INSPECTOR}\n"
    if not wanted.is_file() or wanted.read_text() != names:
        PACKAGES.mkdir(parents=True, exist_ok=True)
        fetch = ["install", "--no-save", "--no-audit", "--no-fund", SUITE, INSPECTOR]
        node.npm(environment, PACKAGES, *fetch, "--prefix", str(PACKAGES))
        wanted.write_text(names)
    return Tools(environment)


@contextmanager
def served(home: Path, *more: str) -> Iterator[str]:
    """Our server on a free port; with ``fixtures`` the suite's stand beside the 20 tools."""
    workspace = home / "workspace"
    shutil.copytree(EXAMPLE, workspace, dirs_exist_ok=True)
    command = [sys.executable, "-m", "tests.conformance.served", str(workspace), *more]
    environment = {**os.environ, "SIDECAR_HOME": str(home / "user")}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def verdicts(tools: Tools, url: str, revision: str) -> tuple[dict[str, str], frozenset[str]]:
    """Each scenario's line of the summary, and the names of those that are never scored."""
    with tempfile.TemporaryDirectory() as results:
        told = tools.run(
            "conformance/dist/index.js", "server", "--url", url, "--requirements", revision,
            "-o", results,
        )  # fmt: skip
    summary = told.stdout.partition("=== SUMMARY ===")[2]
    lines = {found[2]: found[0] for found in _VERDICT.finditer(summary)}
    if not lines:
        raise RuntimeError(f"The suite has told nothing:\n{told.stdout[-2000:]}{told.stderr}")
    return lines, frozenset(_UNSCORED.findall(summary))


def check_required(tools: Tools, home: Path, revision: str) -> bool:
    """All required scenarios with the suite's fixtures mounted; whether every one passes."""
    with served(home, "fixtures") as url:
        lines, unscored = verdicts(tools, url, revision)
    required = {name: line for name, line in lines.items() if name not in unscored}
    passed = _told(required, f"{revision}, required scenarios, fixtures mounted")
    beside = {name: line for name, line in lines.items() if name in unscored}
    good = sum(line.startswith("✓") for line in beside.values())
    print(f"  not scored by the suite (extensions, pending): {good}/{len(beside)} passed")
    return passed


def check_real(tools: Tools, home: Path, revision: str) -> bool:
    """The scenarios that need no fixtures, on the 20 tools alone; whether every one passes."""
    with served(home) as url:
        lines, _ = verdicts(tools, url, revision)
    chosen = {name: lines.get(name, f"✗ {name}: not run") for name in OF_ANY_SERVER[revision]}
    return _told(chosen, f"{revision}, scenarios without fixtures, the 20 tools alone")


def _told(lines: dict[str, str], title: str) -> bool:
    good = [name for name, line in lines.items() if line.startswith("✓")]
    checks = [_VERDICT.match(line) for line in lines.values()]
    passed = sum(int(found[3]) for found in checks if found)
    failed = sum(int(found[4]) for found in checks if found)
    print(f"{title}: {len(good)}/{len(lines)} passed ({passed}/{passed + failed} checks)")
    for name, line in lines.items():
        if name not in good:
            print(f"  {line}")
    return len(good) == len(lines)


def check_inspector(tools: Tools, home: Path) -> bool:
    """The Inspector's portability lint of ``tools/list`` over stdio; whether it exits with 0."""
    good = True
    for era in ("legacy", "modern"):
        script = home / "start.py"
        script.write_text("import sys\nfrom sidecar.cli.main import main\nsys.exit(main())\n")
        command = [sys.executable, str(script), "mcp", "--workspace", str(home / "workspace")]
        own = Tools(tools.environment | {"SIDECAR_HOME": str(home / "user")})
        told = own.run(
            "inspector/clients/launcher/build/index.js", "--cli", *command,
            "--protocol-era", era, "--method", "tools/list", "--strict",
        )  # fmt: skip
        listed = told.stdout.count('"inputSchema"')
        print(f"Inspector --strict, {era} protocol, stdio: exit {told.returncode}, {listed} tools")
        if told.returncode or listed != 20:
            print(told.stdout[-1000:], told.stderr[-2000:])
            good = False
    return good


def main() -> int:
    """Run everything; returns the exit code."""
    try:
        tools = installed()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"SKIPPED: the suite cannot be had from npm ({error}).")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        good = [check_required(tools, home, revision) for revision in OF_ANY_SERVER]
        good += [check_real(tools, home, revision) for revision in OF_ANY_SERVER]
        good.append(check_inspector(tools, home))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
