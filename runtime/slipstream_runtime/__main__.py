"""`python -m slipstream_runtime`: serve one variant of an artifact."""

import asyncio
import logging
import sys
from collections.abc import Sequence

import uvloop

from slipstream_runtime.errors import StartError
from slipstream_runtime.options import parse
from slipstream_runtime.server import prepare, serve

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="slipstream-runtime: %(message)s", stream=sys.stderr)
    try:
        prepared = prepare(parse(sys.argv[1:] if arguments is None else arguments))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(prepared))
    except StartError as error:
        sys.stderr.write(f"slipstream-runtime: {error}\n")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
