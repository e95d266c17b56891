"""Start the MCP server; see ``--help``."""

import json
import sys

try:
    from sidecar.cli.startup import main
except ImportError as missing:
    reason = f"{missing.name} is not installed"
    sys.stdout.write(json.dumps({"available": False, "reason": reason}) + "\n")
    sys.exit(1)

if __name__ == "__main__":
    sys.exit(main())
