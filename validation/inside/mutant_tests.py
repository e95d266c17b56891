"""Runs the tests on a copy of the project: `mutant_tests.py COPY ARGV...`.

Whatever version of the project is installed, the tests and their child processes import the copy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run ARGV in COPY; its exit status is ours."""
    copy = Path(sys.argv[1])
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(copy / "src"), str(copy), before)))
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # two mutants in one second look the same to it
    return subprocess.run(sys.argv[2:], cwd=copy, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
