"""``python -m sidecar`` is the same program as the console script ``sidecar``."""

import sys

from sidecar.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
