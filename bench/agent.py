"""`python -m bench.agent`: of the bench, only the row `node-agent`; the same options."""

from __future__ import annotations

import sys

from bench.__main__ import main

if __name__ == "__main__":
    sys.argv[1:1] = ["--only", "node-agent"]
    sys.exit(main())
