"""Parses every Python, JSON and TOML file below the current folder; prints one JSON line each.

Run with ``-I``: nothing of the project is imported, and a file that kills the parser kills only
this process. The paths to look at come on standard input's stead as a file of lines.
"""

from __future__ import annotations

import json
import sys
import tomllib
import warnings
from pathlib import Path

LIMIT_BYTES = 10_000_000


def problem(path: Path) -> tuple[str, int | None]:
    """What is wrong with a file and where, or nothing."""
    try:
        if path.stat().st_size > LIMIT_BYTES:
            return "", None
        data = path.read_bytes()
        if path.suffix == ".py":
            compile(data, str(path), "exec", dont_inherit=True)
        elif path.suffix == ".toml":
            tomllib.loads(data.decode("utf-8"))
        else:
            json.loads(data)
    except SyntaxError as error:
        return error.msg, error.lineno
    except json.JSONDecodeError as error:
        return error.msg, error.lineno
    except (ValueError, RecursionError, MemoryError, OSError) as error:
        return str(error) or type(error).__name__, None
    return "", None


def main() -> None:
    """Check the files that are listed in the file named by the first argument."""
    warnings.simplefilter("ignore")
    for name in Path(sys.argv[1]).read_text(encoding="utf-8", errors="surrogateescape").split("\0"):
        if name:
            message, line = problem(Path(name))
            print(json.dumps({"file": name, "message": message, "line": line}), flush=True)


if __name__ == "__main__":
    main()
