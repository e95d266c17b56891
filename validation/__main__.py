"""``python -m validation``."""

import sys

from validation import process
from validation.cli import main

if __name__ == "__main__":
    process.adopt_orphans()  # here alone: a program that imports us keeps its own ways
    sys.exit(main())
