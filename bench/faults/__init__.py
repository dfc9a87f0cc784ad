"""Faults at every call of an operator's full life: `python -m bench.faults --help`."""

import sys
from pathlib import Path

# The control plane, the proxy that strikes and the lives are shared with the tests.
sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))
