"""Manifests of pods that run the tests' probe, as restricted as Pod Security asks for."""

from slipstream_testing.api import Json


def probe_pod(name: str, image: str, *arguments: str, claim: str = "") -> Json:
    """A pod that runs the probe once, with the claim's volume, if any, at /data; its label `app` is its name."""
    container: Json = {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "Never",
        "args": list(arguments),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    volumes: list[Json] = []
    if claim:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": claim}})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": volumes,
        },
    }


def server_pod(name: str, image: str, claim: str = "") -> Json:
    """A pod that serves the files below /data, ready once it answers."""
    pod = probe_pod(name, image, "serve", ":8080", "/data" if claim else "/", claim=claim)
    pod["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    return pod


def service(name: str) -> Json:
    """A Service on port 80 for the server pod of the same name."""
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def claim(name: str) -> Json:
    """A claim on the default storage class."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
