"""``sidecar rules``: explain the rules."""

from __future__ import annotations

import argparse

from sidecar.cli.main import refuse
from sidecar.cli.reference import rules_reference
from sidecar.rules.registry import RULES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("code", nargs="?", help="one rule's code, for its whole page")
    parser.add_argument("--reference", action="store_true", help="print all pages as Markdown")


def run(options: argparse.Namespace) -> int:
    """List all rules, or print the page of one."""
    if options.reference:
        print(rules_reference(), end="")
        return 0
    if options.code is None:
        for rule in RULES.values():
            print(f"{rule.code}  {rule.severity.value:<8} {rule.name}")
        return 0
    if options.code.upper() not in RULES:
        raise refuse(f"There is no rule `{options.code}`.", hint="`sidecar rules` lists all.")
    rule = RULES[options.code.upper()]
    print(
        f"{rule.code} {rule.name} ({rule.severity.value}, {rule.kind.value} files)\n\n{rule.page}"
    )
    return 0
