"""Provide helm, which installs the chart: compiled once from its Go module.

It lives beside the control plane because it is built, pinned and kept in the same way. The last line on stdout is the
binary: the one in SLIPSTREAM_HELM, or the user's cache's. Run it as `python3 hack/control_plane/helm.py`.
"""

import sys

from go_modules import Module
from tool import Tool, command

_VERSION = "v4.3.1"
HELM = Tool(
    name="helm",
    module=Module("helm.sh/helm/v4", _VERSION, _VERSION),
    purpose="which installs the chart",
    folder="helm",
    variable="SLIPSTREAM_HELM",
)

if __name__ == "__main__":
    sys.exit(command(HELM))
