"""Consent that a person or CI types with one command, for that command alone."""

from __future__ import annotations

import argparse
import os

# Only for a command that a person or CI typed: a committed configuration could set it for others.
TRUST_VARIABLE = "SIDECAR_TRUST"


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    """Let a command take ``--trust``."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="let this command execute what the workspace names, whether it is trusted or not",
    )


def given(options: argparse.Namespace) -> bool:
    """Whether the consent was typed with this command, or set for it by SIDECAR_TRUST=1."""
    return bool(options.trust) or os.environ.get(TRUST_VARIABLE) == "1"
