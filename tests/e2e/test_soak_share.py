"""A small share of `make soak`: real replicas, callers who leave, requests that fail, hostile batchmates."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_nobody_gets_an_answer_that_is_not_theirs(tmp_path):
    state = tmp_path / "counts.json"
    state.write_text('{"sent": 5000, "own": 4800}')  # of an interrupted run: this one goes on from there
    ended = subprocess.run(
        [sys.executable, "-m", "bench.soak", "--requests=20000", "--pairs=1000", f"--state={state}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    verdict = ended.stdout.splitlines()[-1]
    assert verdict.startswith("soak: ok 20000 requests"), ended.stdout + ended.stderr
    assert "0 mismatched, 0 wrong, 0 silent; 1000 pairs, 0 moved" in verdict
    assert not state.exists()
