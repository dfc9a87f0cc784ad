"""`python -m slipstream_operator.cluster`: the operator."""

import sys

from slipstream_operator.cluster.main import main

if __name__ == "__main__":
    sys.exit(main())
