"""Calls a real sidecar as a client would: `python -P -m validation.probe tools|transports OUT`.

Works in a workspace of its own with user folders of its own, so it changes nothing of anybody's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from validation import json_schema, scratch
from validation.mcp_client import Client, McpError, Sse, Stdio, StreamableHttp

TOOLS = 20
REPEATS = 5
START_SECONDS = 30.0


@dataclass
class Findings:
    """The probe's result as it is written to OUT."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)

    def note(self, name: str, problem: str, seconds: float = 0.0) -> None:
        """Add a check; no problem is a pass."""
        self.checks.append({"id": name, "problem": problem, "seconds": seconds})

    def figure(self, name: str, value: float, unit: str, definition: str) -> None:
        """Add a measured value."""
        self.figures.append({"name": name, "value": value, "unit": unit, "definition": definition})


@dataclass(frozen=True)
class Sidecar:
    """How to start a sidecar on a scratch workspace."""

    workspace: Path
    env: dict[str, str]

    @property
    def argv(self) -> list[str]:
        """The command that serves MCP on stdio."""
        command = [sys.executable, "-P", "-m", "sidecar", "mcp", "--solo"]
        return [*command, "--workspace", str(self.workspace)]


@contextlib.contextmanager
def scratch_sidecar() -> Iterator[Sidecar]:
    """A sidecar's command on a workspace that goes away afterwards."""
    with tempfile.TemporaryDirectory(prefix="sidecar-probe-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        workspace = scratch.make(folder / "workspace")
        env = {k: v for k, v in os.environ.items() if not k.startswith("SIDECAR_")}
        yield Sidecar(workspace, {**env, "SIDECAR_HOME": str(folder / "home")})


@contextlib.contextmanager
def session(client: Client) -> Iterator[Client]:
    """A client that leaves at the end, whatever happens."""
    try:
        yield client
    finally:
        client.channel.close()


def probe_tools(findings: Findings) -> None:
    """Call each tool and compare its result with its schema and with the files on disk."""
    with scratch_sidecar() as sidecar:
        start = perf_counter()
        channel = Stdio(sidecar.argv, sidecar.env)
        with session(Client(channel)) as client:
            client.initialize()
            definition = "process start to the answer of `initialize`, once"
            findings.figure("start to initialize", perf_counter() - start, "s", definition)
            listed = {tool["name"]: tool for tool in client.tools()}
            for name, arguments in scratch.CALLS:
                _probe_tool(findings, client, listed.get(name), name, arguments)
            _probe_effects(findings, sidecar.workspace)
            _measure(findings, client, set(listed), channel.process.pid)


def _probe_tool(
    findings: Findings,
    client: Client,
    listed: dict[str, Any] | None,
    name: str,
    arguments: dict[str, Any],
) -> None:
    start = perf_counter()
    if listed is None:
        findings.note(name, "It is not in tools/list.")
        return
    try:
        problem = _result_problem(client.call(name, arguments), listed.get("outputSchema"))
    except McpError as error:
        problem = str(error)
    findings.note(name, problem, perf_counter() - start)


def _result_problem(result: dict[str, Any], schema: dict[str, Any] | None) -> str:
    texts = [part.get("text", "") for part in result.get("content", [])]
    if result.get("isError"):
        return f"It was refused: {' '.join(texts)[:500]}"
    if not any(text.strip() for text in texts):
        return "It has no text for models that read only text."
    structured = result.get("structuredContent")
    if not isinstance(structured, dict) or schema is None:
        return "It has no structured content, or no schema for it."
    if structured.get("success") is not True:
        return f"It does not say success: {json.dumps(structured)[:500]}"
    return json_schema.problem(structured, schema, schema)


def _probe_effects(findings: Findings, workspace: Path) -> None:
    for name, (path, text) in scratch.EFFECTS.items():
        file = workspace / path
        there = file.is_file() and text in file.read_text(encoding="utf-8")
        findings.note(f"{name} on disk", "" if there else f"{path} does not hold {text!r}.")


def _measure(findings: Findings, client: Client, listed: set[str], pid: int) -> None:
    """Response times of the tools that only read, and the memory after it."""
    reading = [call for call in scratch.CALLS if call[0].startswith(("get_", "list_", "read_"))]
    times: list[float] = []
    for _ in range(REPEATS):
        for name, arguments in reading:
            if name in listed:
                start = perf_counter()
                client.call(name, arguments)
                times.append((perf_counter() - start) * 1000)
    if times:
        said = f"mean of {len(times)} calls of {len(times) // REPEATS} reading tools over stdio"
        findings.figure("average response", sum(times) / len(times), "ms", said)
        said = f"slowest of the same {len(times)} calls"
        findings.figure("slowest response", max(times), "ms", said)
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        resident = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
        if resident:
            said = "resident memory of `sidecar mcp --solo` after these calls"
            findings.figure("memory", int(resident[1]) / 1024, "MiB", said)


def probe_transports(findings: Findings) -> None:
    """Open a session over each transport, list the tools, call one."""
    with scratch_sidecar() as sidecar:
        _try(findings, "stdio", lambda: Client(Stdio(sidecar.argv, sidecar.env)))
        with http_sidecar(sidecar) as base:
            if not base:
                for name in ("http", "sse", "http without the token"):
                    findings.note(name, "The server did not say where it listens.")
                return
            headers = {"Authorization": f"Bearer {token(sidecar)}"}
            _try(findings, "http", lambda: Client(StreamableHttp(f"{base}/mcp", headers)))
            _try(findings, "sse", lambda: Client(Sse(f"{base}/sse", headers)))
            _refused(findings, f"{base}/mcp")


def _try(findings: Findings, name: str, opened: Callable[[], Client]) -> None:
    start = perf_counter()
    try:
        with session(opened()) as client:
            client.initialize()
            count = len(client.tools())
            problem = "" if count == TOOLS else f"It lists {count} tools instead of {TOOLS}."
            if count:
                result = client.call("get_todo_status", {})
                problem = problem or ("A call was refused." if result.get("isError") else "")
    except (McpError, OSError, ValueError) as error:
        problem = str(error)
    findings.note(name, problem, perf_counter() - start)


def _refused(findings: Findings, url: str) -> None:
    try:
        Client(StreamableHttp(url, {})).initialize()
        findings.note("http without the token", "It was let in.")
    except McpError as error:
        told = str(error)
        findings.note("http without the token", "" if "HTTP 40" in told else told)


def token(sidecar: Sidecar) -> str:
    """The token that HTTP clients of that sidecar send."""
    command = [sys.executable, "-P", "-m", "sidecar", "token"]
    done = subprocess.run(command, env=sidecar.env, capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return max(words, key=len) if words else ""


@contextlib.contextmanager
def http_sidecar(sidecar: Sidecar) -> Iterator[str]:
    """The address of a sidecar that serves HTTP; empty when it does not come up."""
    server = subprocess.Popen(
        [*sidecar.argv, "--http", "--port", "0"],
        env=sidecar.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    killer = threading.Timer(START_SECONDS, server.kill)
    killer.start()
    try:
        yield _announced(server)
    finally:
        killer.cancel()
        server.terminate()
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if server.stderr:
            server.stderr.close()


def _announced(server: subprocess.Popen[str]) -> str:
    for line in server.stderr or ():
        if found := re.search(r"http://[\w.\[\]:]+:\d+", line):
            return found[0]
    return ""


def main() -> int:
    """Probe and write OUT; the exit code is 0 whatever was found."""
    findings = Findings()
    try:
        {"tools": probe_tools, "transports": probe_transports}[sys.argv[1]](findings)
    except McpError as error:
        findings.note("session", str(error))
    Path(sys.argv[2]).write_text(json.dumps(vars(findings)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
