"""Measure what the documents state, and keep it: ``python docs/measure.py [NAME...]``.

Each name is a command that writes its figures as JSON; without names all of them run. What is
measured goes into ``docs/metrics.json`` with the date and how busy the machine was, and
``docs/generate.py`` makes ``docs/metrics.md`` of it. What was not measured now stays as it was.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
KEPT = REPOSITORY / "docs/metrics.json"
LIMIT_SECONDS = 900
# Name, the target that a person runs, and the script with {out} for its JSON.
COMMANDS = {
    "figures": ("make bench", ("benchmarks/figures.py", "{out}")),
    "overhead": ("make bench-validation", ("benchmarks/validation_overhead.py", "{out}")),
    "packages": ("make packages", ("tests/packages/run.py", "--figures={out}")),
    "planted": ("make planted", ("tests/planted/run.py", "--figures={out}")),
    "mutation": (
        "make mutation",
        ("-m", "validation", ".", "--allow-code", "--quiet", "--full", "--category=mutation",
         f"--python={sys.executable}", "--json={out}"),
    ),
}  # fmt: skip


def measured(name: str) -> list[dict[str, Any]]:
    """The figures of one command; a command may end with 1 where a limit is missed."""
    target, words = COMMANDS[name]
    began, load = datetime.now(UTC), os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with tempfile.TemporaryDirectory(prefix="sidecar-measure-") as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, "-P", *(word.replace("{out}", str(out)) for word in words)]
        subprocess.run(command, cwd=REPOSITORY, timeout=LIMIT_SECONDS, check=False)  # noqa: S603
        data = json.loads(out.read_text(encoding="utf-8"))
    figures = data["figures"] if isinstance(data, dict) else data
    return [
        {
            "source": name, "command": target, "name": figure["name"], "value": figure["value"],
            "unit": figure["unit"], "limit": figure.get("limit"),
            "definition": figure["definition"], "date": f"{began:%Y-%m-%d}",
            "load": load and round(load, 1),
        }
        for figure in figures
    ]  # fmt: skip


def keep(name: str, found: list[dict[str, Any]]) -> None:
    """Put one command's figures in the place of its former ones."""
    known = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {"figures": []}
    kept = [entry for entry in known["figures"] if entry["source"] != name] + found
    kept.sort(key=lambda entry: list(COMMANDS).index(entry["source"]))
    data = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "figures": kept,
    }
    KEPT.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, and keep what the others measured before; each source as soon as it is there."""
    names = sys.argv[1:] or list(COMMANDS)
    for name in names:
        found = measured(name)
        keep(name, found)
        print(f"{name}: {len(found)} figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
