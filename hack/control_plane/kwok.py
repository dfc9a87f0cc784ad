"""Provide kwok, which plays nodes and pods at scale: compiled once from its Go module.

It lives beside the control plane because it is built, pinned and kept in the same way. The last line on stdout is the
binary: the one in SLIPSTREAM_KWOK, or the user's cache's. Run it as `python3 hack/control_plane/kwok.py`.
"""

import sys

from go_modules import Module
from tool import Tool, command

_VERSION = "v0.7.0"
KWOK = Tool(
    name="kwok",
    module=Module("sigs.k8s.io/kwok", _VERSION, _VERSION),
    purpose="which plays nodes and pods",
    folder="kwok",
    variable="SLIPSTREAM_KWOK",
)

if __name__ == "__main__":
    sys.exit(command(KWOK))
