"""`python -m slipstream_runtime.workers CONTROL_FD TETHER_FD INFER_FD GRPC_FD OPTION...`: one of several processes."""

import sys

from slipstream_runtime.workers.worker import main

if __name__ == "__main__":
    control, tether, infer, grpc = map(int, sys.argv[1:5])
    sys.exit(main(control, tether, (infer, grpc), sys.argv[5:]))
