"""The memory that a build's processes hold together."""

import subprocess
import sys
import time

from bench.shared.memory import PeakMemory

HELD = 200 << 20
GRANDCHILD = f"block = bytearray({HELD}); print(len(block), flush=True); input()"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {GRANDCHILD!r}])"


def test_a_grandchild_counts_towards_the_peak():
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with PeakMemory(child.pid) as memory:
        assert child.stdout.readline().strip() == str(HELD)
        deadline = time.monotonic() + 10
        while memory.peak_bytes < HELD and time.monotonic() < deadline:
            assert child.poll() is None
        child.communicate("\n")
    assert memory.peak_bytes >= HELD
