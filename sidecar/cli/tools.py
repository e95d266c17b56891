"""``sidecar tools``: list the 20 tools, or explain one."""

from __future__ import annotations

import argparse

from sidecar.cli.reference import tools_reference
from sidecar.services.registry import TOOLS, resolve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("name", nargs="?", help="one tool's name, for its whole page")
    parser.add_argument("--reference", action="store_true", help="print all pages as Markdown")


def run(options: argparse.Namespace) -> int:
    """List all tools, or print the page of one."""
    if options.reference:
        print(tools_reference(), end="")
    elif options.name is None:
        for tool in TOOLS.values():
            print(f"{tool.name:<24} {tool.category.value:<13} {tool.title}")
    else:
        tool = resolve(options.name)
        print(f"{tool.name} ({tool.category.value})\n\n{tool.page}")
    return 0
