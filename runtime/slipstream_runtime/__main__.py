"""`python -m slipstream_runtime`: serve an artifact, by this process or by several that it watches over."""

import dataclasses
import sys
from collections.abc import Sequence

from slipstream_contract.serving import ServingOptions
from slipstream_runtime.errors import StartError
from slipstream_runtime.observing import logs
from slipstream_runtime.options import parse
from slipstream_runtime.rest.ports import open_ports
from slipstream_runtime.workers.plan import choose

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the exit code."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        logs.configure(options.log_format)
        return _serve(options)
    except StartError as error:
        sys.stderr.write(f"slipstream-runtime: {error}\n")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


def _serve(options: ServingOptions) -> int:
    plan = choose(options)
    ports = open_ports(options, several=plan.processes > 1)
    if plan.processes > 1:
        from slipstream_runtime.workers.supervisor import supervise  # noqa: PLC0415  # not needed by one process alone

        return supervise(options, plan, ports)
    from slipstream_runtime.server import prepare, run  # noqa: PLC0415  # ONNX Runtime: not for a supervisor

    run(prepare(dataclasses.replace(options, threads=plan.threads), ports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
