"""What build and runtime pods share: they run a stranger's model, so they get no rights and little room."""

from slipstream_contract import names
from slipstream_operator.cluster.children.metadata import Document, Owner, artifacts_name, component_name

USER = 65532
"""The images' user; also the group that owns the artifact volume, so that it can be written."""

ARTIFACTS = "artifacts"
WORK = "work"
WORK_PATH = "/tmp"  # noqa: S108 (the pod's own emptyDir, shared with nobody)


def pod_spec(owner: Owner, component: str, container: Document, volumes: list[Document]) -> Document:
    """Return the spec of a pod that meets the Pod Security level `restricted` and holds no token."""
    return {
        "serviceAccountName": component_name(owner, component),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }


def container_security() -> Document:
    """Return a container's security settings."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources(cpu: str, memory: str) -> Document:
    """Return requests, and a limit on memory alone: unused processor time is free to take."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def artifacts_volume(owner: Owner, *, read_only: bool) -> Document:
    """Return the volume of the artifact store."""
    return {
        "name": ARTIFACTS,
        "persistentVolumeClaim": {"claimName": artifacts_name(owner), **({"readOnly": True} if read_only else {})},
    }


def artifacts_mount(*, read_only: bool) -> Document:
    """Return the mount of the artifact store."""
    return {"name": ARTIFACTS, "mountPath": names.ARTIFACTS_PATH, **({"readOnly": True} if read_only else {})}


def work_volume(size: str) -> Document:
    """Return scratch space of at most `size`."""
    return {"name": WORK, "emptyDir": {"sizeLimit": size}}


def work_mount() -> Document:
    """Return the mount of the scratch space."""
    return {"name": WORK, "mountPath": WORK_PATH}
