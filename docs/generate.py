"""Write what is generated: the reference pages, and the output that README shows.

``python docs/generate.py`` writes, ``--check`` only says which files are stale (exit 1).
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

from sidecar.cli.main import main as sidecar
from sidecar.cli.reference import rules_reference, tools_reference

REPOSITORY = Path(__file__).resolve().parents[1]
SHOWN_OUTPUT = re.compile(r"(<!-- check -->\n```text\n).*?(```\n<!-- /check -->)", re.DOTALL)


def generated() -> dict[Path, str]:
    """Each generated file with the text that it should have."""
    readme = REPOSITORY / "README.md"
    output = _output("check", "examples/workspace")
    shown = SHOWN_OUTPUT.sub(lambda m: m[1] + output + m[2], readme.read_text(encoding="utf-8"))
    return {
        REPOSITORY / "sidecar/rules/REFERENCE.md": rules_reference(),
        REPOSITORY / "sidecar/services/REFERENCE.md": tools_reference(),
        REPOSITORY / "docs/metrics.md": metrics(),
        readme: shown,
    }


METRICS = """# What was measured

Each figure that the documents state, how it is measured, and its last value. Generated from
`docs/metrics.json`, which `make metrics` writes (`make metrics ARGS=overhead` measures one source
anew). *Load* is the number of processes that waited for a processor when the measurement began:
beyond the number of processors, times are the machine's as much as ours. A figure with a limit is
a check; how one that depends on the clock treats a busy machine is said in its script. Counts of
tests, coverage and rates change with every commit and are kept nowhere: `make validate` tells them,
with numerator and denominator.

"""


def metrics() -> str:
    """The page of figures, by the command that measures them."""
    data = json.loads((REPOSITORY / "docs/metrics.json").read_text(encoding="utf-8"))
    parts = [METRICS + f"Measured with Python {data['python']} on {data['system']}.\n"]
    for command in dict.fromkeys(entry["command"] for entry in data["figures"]):
        rows = [
            f"| {e['name']} | {e['value']:.4g} {e['unit']} | "
            f"{'' if e['limit'] is None else format(e['limit'], 'g')} | {e['definition']} | "
            f"{e['date']}, load {e['load']} |"
            for e in data["figures"]
            if e["command"] == command
        ]
        head = "| figure | last value | limit | what it is | measured |"
        parts.append("\n".join([f"\n## `{command}`\n", head, "| --- " * 5 + "|", *rows]) + "\n")
    return "".join(parts)


def _output(*words: str) -> str:
    with redirect_stdout(io.StringIO()) as stream:
        sidecar(words)
    return stream.getvalue()


def main() -> int:
    """Write the stale files, or only name them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = {
        path: text
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        print(f"{'stale' if check else 'written'}: {path.relative_to(REPOSITORY).as_posix()}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
