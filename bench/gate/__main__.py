"""Runs `python -m bench.gate`."""

import sys

from bench.gate.honesty import main

sys.exit(main())
