"""Start, fill and end a single-node Kubernetes cluster for development and tests: `python3 hack/cluster up`.

The last line of `up` on stdout is the cluster's kubeconfig.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from elsewhere import Existing, Kind
from layout import NUMBER, Layout
from saying import ClusterError
from source import Source

_FOLDER = Path(__file__).parents[2] / ".slipstream" / f"cluster{NUMBER or ''}"
_BACK_ENDS: dict[str, type[Source | Kind | Existing]] = {"source": Source, "kind": Kind, "kubeconfig": Existing}


def main() -> int:
    """Do what the command line says; a failure is one line on stderr and exit status 1."""
    arguments = _parse()
    layout = Layout(arguments.folder.absolute())
    try:
        _act(arguments, layout)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cluster", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where kubeconfig, state and logs are kept")
    parser.add_argument("--backend", choices=_BACK_ENDS, help="source for root on Linux, otherwise kind; see docs")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start the cluster, or do nothing if it runs")
    commands.add_parser("down", help="end the cluster and remove all of it but its logs")
    commands.add_parser("status", help="say where it runs; exit status 1 if it does not")
    load = commands.add_parser("load", help="load image archives")
    load.add_argument("archives", type=Path, nargs="+", metavar="IMAGE.tar")
    return parser.parse_args()


def _act(arguments: argparse.Namespace, layout: Layout) -> None:
    layout.folder.mkdir(parents=True, exist_ok=True)
    name = arguments.backend or _started_with(layout) or _usual()
    cluster = _BACK_ENDS[name](layout)
    match arguments.command:
        case "up":
            layout.backend.write_text(f"{name}\n", encoding="utf-8")
            cluster.up()
            print(layout.kubeconfig)
        case "status":
            print(cluster.status())
        case "down":
            cluster.down()
            layout.backend.unlink(missing_ok=True)
        case _:
            for archive in arguments.archives:
                cluster.load(archive)


def _started_with(layout: Layout) -> str | None:
    """The back end of the cluster that is up, which later commands need not repeat."""
    return layout.backend.read_text(encoding="utf-8").strip() if layout.backend.exists() else None


def _usual() -> str:
    if sys.platform.startswith("linux") and os.geteuid() == 0:
        return "source"
    if shutil.which("kind") and shutil.which("docker"):
        return "kind"
    raise ClusterError(
        "no cluster can be started: be root on Linux, install kind and Docker, or choose --backend kubeconfig"
    )


if __name__ == "__main__":
    sys.exit(main())
