"""What the words of a command mean; importing this costs a client of a channel 6 ms."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence


def parsed(
    name: str,
    description: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    words: Sequence[str],
) -> argparse.Namespace:
    """A command's options; ends the process where they make no sense or help is asked for."""
    parser = argparse.ArgumentParser(
        prog=f"sidecar {name}", description=description, formatter_class=_formatter
    )
    add_arguments(parser)
    return parser.parse_args(words)


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Knows the width, which it would else import shutil for, and with it 1 MB."""
    try:
        columns = int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size().columns
    except (OSError, ValueError):
        columns = 80
    return argparse.HelpFormatter(prog, width=columns - 2)
