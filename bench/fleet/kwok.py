"""kwok as the kubelet of many nodes: replicas run as soon as they are bound to one, and go when they are deleted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.shared.folders import BenchError
from slipstream_contract import names
from slipstream_testing.components import Component
from slipstream_testing.control_plane import ControlPlane

PODS = "10.244.0.0/16"
_BUILD = Path(__file__).parents[2] / "hack" / "control_plane" / "kwok.py"

_STATUS = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
hostIP: 192.0.2.1
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
conditions:
{{ range $type := list "Initialized" "ContainersReady" "Ready" }}
- {type: {{ $type | Quote }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ .image | Quote }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
"""
"""What kwok's own stage says of a pod that runs, less what the operator does not read."""


def provide() -> Path:
    """Return kwok's binary, built first where it is missing.

    Raises:
        BenchError: it cannot be built.
    """
    done = subprocess.run([sys.executable, str(_BUILD)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BenchError(f"kwok: `python3 {_BUILD}` says above why there is none")
    return Path(done.stdout.splitlines()[-1])


def component(binary: Path, control_plane: ControlPlane, node: str) -> Component:
    """Return kwok for the pods of a node that exists; nothing runs yet."""
    config = control_plane.folder / "kwok.yaml"
    stages = [_stage("replica-runs", _WAITING, {"statusTemplate": _STATUS}), _stage("replica-goes", _DELETED, _GONE)]
    config.write_text("\n---\n".join(map(json.dumps, stages)))
    flags = {
        "kubeconfig": str(control_plane.kubeconfig),
        "config": str(config),
        "cidr": PODS,
        "manage-single-node": node,
    }
    return Component(binary, flags, control_plane.folder)


def _condition(key: str, operator: str) -> dict[str, Any]:
    return {"key": key, "operator": operator}


_WAITING = [_condition(".metadata.deletionTimestamp", "DoesNotExist"), _condition(".status.podIP", "DoesNotExist")]
_DELETED = [_condition(".metadata.deletionTimestamp", "Exists")]
_GONE = {"finalizers": {"empty": True}, "delete": True}


def _stage(name: str, expressions: list[dict[str, Any]], then: dict[str, Any]) -> dict[str, Any]:
    replicas = {names.LABEL_COMPONENT: "runtime"}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchLabels": replicas, "matchExpressions": expressions},
            "next": then,
        },
    }
