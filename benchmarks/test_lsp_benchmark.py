"""How long an editor waits for the findings of a long mode file."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import lsp_against_yaml_language_server as against

pytestmark = pytest.mark.benchmark_only


@pytest.fixture
def client(tmp_path: Path) -> Iterator[against.Client]:
    """Our server with the long file open."""
    schema = tmp_path / "modes.schema.json"
    schema.write_text(json.dumps(against.SCHEMA), encoding="utf-8")
    text = against.text_of(schema)
    (tmp_path / ".roomodes").write_text(text, encoding="utf-8")
    command = [sys.executable, "-P", "-m", "sidecar", "lsp"]
    with tempfile.TemporaryDirectory() as home:
        environment = {**against.os.environ, "SIDECAR_HOME": home}
        with against.session(command, tmp_path, environment) as started:
            _, started.findings = started.open(text)
            started.line = text.split("\n").index("      - edit")
            yield started


def test_keystroke_to_findings_of_2003_lines(benchmark: Any, client: against.Client) -> None:
    """One letter typed after a pause, until its findings have been published."""
    letters = iter([("o", 1), ("e", 0)] * 1000)

    def pause() -> tuple[tuple[str, int], dict[str, Any]]:
        time.sleep(against.PAUSE_SECONDS)
        letter, more = next(letters)
        return (letter, client.findings + more), {}

    def keystroke(letter: str, expected: int) -> None:
        client.type(client.line, 8, letter, expected)

    benchmark.pedantic(keystroke, setup=pause, rounds=10)


def test_keystroke_beside_yaml_language_server(benchmark: Any) -> None:
    """The same beside the peer, in one run; the ratio is in the benchmark's extra information."""
    if reason := against.missing():
        pytest.skip(reason)
    ours, theirs = benchmark.pedantic(against.measure, kwargs={"rounds": 1}, rounds=1)
    benchmark.extra_info["p50_ms"] = {each.name: each.p50 for each in (ours, theirs)}
    benchmark.extra_info["ratio"] = theirs.p50 / ours.p50
    print("\n" + against.report([ours, theirs]))
