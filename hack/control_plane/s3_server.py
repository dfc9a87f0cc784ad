"""Provide a real S3 server for tests: versitygw, compiled once from its Go module.

It lives beside the control plane because it is built, pinned and kept in the same way. The last line on stdout is the
binary: the one in SLIPSTREAM_S3_SERVER, or the user's cache's. Run it as `python3 hack/control_plane/s3_server.py`.
"""

import sys

from go_modules import Module
from tool import Tool, command

_VERSION = "v1.8.0"
VERSITYGW = Tool(
    name="versitygw",
    module=Module("github.com/versity/versitygw", _VERSION, _VERSION),
    purpose="an S3 server for the tests",
    folder="s3-server",
    variable="SLIPSTREAM_S3_SERVER",
)

if __name__ == "__main__":
    sys.exit(command(VERSITYGW))
