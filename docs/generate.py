"""Write what is generated: the reference pages, and the output that README shows.

``python docs/generate.py`` writes, ``--check`` only says which files are stale (exit 1).
"""

from __future__ import annotations

import argparse
import io
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
        readme: shown,
    }


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
