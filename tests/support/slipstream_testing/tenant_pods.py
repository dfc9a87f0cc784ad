"""Manifests of the pods that a user of Slipstream adds, as restricted as Pod Security asks for."""

from typing import Any

from slipstream_testing.api import Json

IMAGE = "slipstream-runtime:0.1.0"
_USER = 65532


def pod(name: str, command: list[str], volumes: dict[str, Json]) -> Json:
    """A pod that runs a command once, in the image that holds Python and numpy, each volume below /NAME."""
    container: dict[str, Any] = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": volume, "mountPath": f"/{volume}"} for volume in volumes],
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "fsGroup": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": security,
        "containers": [container],
        "volumes": [{"name": volume, **source} for volume, source in volumes.items()],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def copying_pod(files: str, claim: str) -> Json:
    """A pod that copies a ConfigMap's files to a claim."""
    volumes = {"files": {"configMap": {"name": files}}, "claim": {"persistentVolumeClaim": {"claimName": claim}}}
    return pod(f"fill-{claim}", ["sh", "-c", "cp /files/* /claim/"], volumes)


def load_pod(agent: str, files: str, inputs: str, schedule: str) -> Json:
    """A pod that offers load by a schedule with Slipstream's own generator, and prints a line of JSON a second."""
    generator = ["python", "-m", "slipstream_runtime.load", f"--url=http://{agent}:8000", f"--model={agent}"]
    flags = [f"--inputs=/files/{inputs}", f"--schedule={schedule}", "--token-file=/keys/token"]
    return pod(f"load-{agent}", [*generator, *flags], _with_token(agent, files))


def steady_pod(agent: str, files: str, script: str, inputs: str, rate: int) -> Json:
    """A pod that calls at an even rate without ever calling again, and prints a line of JSON a second."""
    address = f"http://{agent}:8000/v2/models/{agent}/infer"
    command = ["python", f"/files/{script}", address, f"/files/{inputs}", "/keys/token", str(rate)]
    return pod(f"steady-{agent}", command, _with_token(agent, files))


def _with_token(agent: str, files: str) -> dict[str, Json]:
    token = {"secretName": f"{agent}-keys", "items": [{"key": "token", "path": "token"}], "defaultMode": 0o440}
    return {"files": {"configMap": {"name": files}}, "keys": {"secret": token}}
