"""Runs `python -m bench.states`."""

import argparse
import logging
import sys
import time
from collections.abc import Sequence

from slipstream_testing.states.exploring import STEPS_OF_A_LIFE, explore

LIVES_OF_A_ROUND = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Live until so many steps are done; return 0 when no invariant broke."""
    parser = argparse.ArgumentParser(prog="bench.states", description="Hold the operator to a reference model.")
    parser.add_argument("--steps", type=int, default=20_000, help="how many steps to take at least")
    parser.add_argument("--seed", type=int, default=1, help="the first of the seeds, one a round")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # the operator logs every fault that it meets
    began, steps, seed = time.monotonic(), 0, options.seed
    while steps < options.steps:
        lives = min(LIVES_OF_A_ROUND, 1 + (options.steps - steps) // STEPS_OF_A_LIFE)
        try:
            steps += explore(lives, seed)
        except Exception:
            print(f"states: FAILED seed={seed} after steps={steps}", flush=True)
            raise
        print(f"states: {steps} of {options.steps} steps, no invariant broken", flush=True)
        seed += 1
    seconds = time.monotonic() - began
    print(f"states: ok steps={steps} seeds={options.seed}..{seed - 1} broken=0 seconds={seconds:.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
