"""Wears the runtime down: `python -m bench.soak --help`.

Every answer must be the caller's own, no batchmate may move a row's result, and memory must stay flat.
"""

import sys
from pathlib import Path

# What starts replicas and writes their artifacts is shared with the tests.
sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))
