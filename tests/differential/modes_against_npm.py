"""Mutated mode files, judged by our loader and by the real `yaml` and `zod` packages.

Usage: python tests/differential/modes_against_npm.py [COUNT] [SEED]; exits 0 where at least 99 of
100 verdicts agree, 1 where not, 77 where Node or npm is missing.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sidecar.domain.modes import load

HERE = Path(__file__).parent
PACKAGES = ("yaml@2.8.0", "zod@3.25.76")
SKIPPED = 77
VECTORS = HERE.parent / "vectors" / "modes_vectors.json"
PIECES = (
    *("\n", "\n\n", " ", "  ", "\t", ": ", ":", "- ", "-", "#", " #", '"', "'", "[", "]", "{", "}"),
    *(
        ",",
        "|",
        ">",
        "|-",
        "|2",
        "&a ",
        "*a",
        "!t ",
        "!!str ",
        "---\n",
        "...\n",
        "\\",
        "\r",
        "@",
        "%",
    ),
    *("key: v\n", "a: b", "null", "0x1F", "\u2019", "\u201c", "\u2014", "\u00a0", "\ufeff", "\x0c"),
)


class Oracle:
    """The Node process that answers line by line."""

    def __init__(self, folder: Path) -> None:
        shutil.copy(HERE / "modes_oracle.js", folder)
        self._node = subprocess.Popen(
            ["node", "--no-warnings", "modes_oracle.js"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, text: str) -> dict[str, Any]:
        """The real verdict on a text."""
        assert self._node.stdin
        assert self._node.stdout
        self._node.stdin.write(json.dumps(text) + "\n")
        self._node.stdin.flush()
        answer: dict[str, Any] = json.loads(self._node.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._node.terminate()
        self._node.wait()


def mutated(count: int, seed: int) -> Iterator[str]:
    """Texts of the vectors with a few characters or lines changed."""
    texts = [case["text"] for case in json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]]
    chance = random.Random(seed)
    for _ in range(count):
        text = chance.choice(texts)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text) + 1)
            gone = chance.choice((0, 0, 1, 3, 8))
            piece = chance.choice(("", *PIECES)) if gone else chance.choice(PIECES)
            text = text[:at] + piece + text[at + gone :]
        yield text


def ours(text: str) -> dict[str, Any]:
    """Our verdict in the oracle's form."""
    result = load(text)
    answer: dict[str, Any] = {"verdict": result.verdict}
    if result.verdict == "schema-error":
        answer["issues"] = [[list(issue.path), issue.message] for issue in result.issues]
    elif result.verdict == "valid":
        answer["modes"] = [dict(mode) for mode in result.modes]
    return answer


def compared(oracle: Oracle, count: int, seed: int) -> list[tuple[str, str, str]]:
    """The texts that are judged differently, with both verdicts; prints the fractions."""
    differing = []
    verdicts: Counter[str] = Counter()
    lines: Counter[bool] = Counter()
    for text in mutated(count, seed):
        real = oracle(text)
        verdicts[real["verdict"]] += 1
        if real["verdict"] == "yaml-error":
            lines[real.pop("line") == load(text).line] += 1
        if real != ours(text):
            differing.append((text, real["verdict"], load(text).verdict))
    print(f"agreement {count - len(differing)}/{count} ({dict(verdicts)})")
    print(f"line of a YAML error {lines[True]}/{lines.total()}")
    return differing


def main() -> int:
    """Compare, and print the shortest disagreements."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if not (shutil.which("node") and shutil.which("npm")):
        print("skipped: Node and npm are needed for the real packages")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", *PACKAGES]
        subprocess.run(install, cwd=name, check=True)
        oracle = Oracle(Path(name))
        differing = compared(oracle, count, seed)
        oracle.close()
    for text, real_verdict, our_verdict in sorted(differing, key=lambda one: len(one[0]))[:10]:
        print(f"  {real_verdict} but {our_verdict}: {text!r}")
    return 0 if len(differing) * 100 <= count else 1


if __name__ == "__main__":
    raise SystemExit(main())
