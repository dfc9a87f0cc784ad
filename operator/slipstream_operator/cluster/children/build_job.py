"""The build Job: hostile code under a deadline, whose only way out is its termination message and the artifact."""

from pathlib import PurePosixPath

from slipstream_contract import names
from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import EXIT_CODES
from slipstream_operator.cluster.children import pods
from slipstream_operator.cluster.children.metadata import (
    BUILDER,
    Document,
    Owner,
    child,
    job_name,
    labels,
    recipe_name,
)
from slipstream_operator.cluster.settings import OperatorSettings

MARGIN_SECONDS = 900
"""What fetching, packing and retries may take beyond the build's own budget."""

WORK_SIZE = "20Gi"
USERS_TO_MEND = EXIT_CODES["InvalidSource"]


def build_job(
    owner: Owner, recipe: Recipe, claims: tuple[str, ...], keep: tuple[str, ...], settings: OperatorSettings
) -> Document:
    """Return the Job that builds `recipe`, reading the volume claims `claims`.

    Of the artifacts in the store it leaves those of the digests `keep`. It has no time to live: it is the record of the
    build until a newer one serves.
    """
    job = child("batch/v1/Job", job_name(owner, recipe.digest), owner, BUILDER, recipe.digest)
    container = _container(recipe, claims, keep, settings)
    spec = pods.pod_spec(owner, BUILDER, container, _volumes(owner, recipe, claims))
    job["spec"] = {
        "backoffLimit": 2,
        "activeDeadlineSeconds": recipe.budget_seconds + MARGIN_SECONDS,
        "podFailurePolicy": {"rules": _failure_rules()},
        "template": {
            "metadata": {"labels": labels(owner, BUILDER, recipe.digest)},
            "spec": {**spec, "restartPolicy": "Never"},
        },
    }
    return job


def _failure_rules() -> list[Document]:
    mistake = {"containerName": BUILDER, "operator": "In", "values": [USERS_TO_MEND]}
    evicted = {"type": "DisruptionTarget", "status": "True"}
    return [{"action": "FailJob", "onExitCodes": mistake}, {"action": "Ignore", "onPodConditions": [evicted]}]


def _container(recipe: Recipe, claims: tuple[str, ...], keep: tuple[str, ...], settings: OperatorSettings) -> Document:
    sources = [
        {"name": _volume("claim", i), "mountPath": f"{names.CLAIMS_PATH}/{c}", "readOnly": True}
        for i, c in enumerate(claims)
    ]
    secrets = [
        {"name": _volume("secret", i), "mountPath": f"{names.SECRETS_PATH}/{s}", "readOnly": True}
        for i, s in enumerate(_secrets(recipe))
    ]
    recipe_folder = str(PurePosixPath(names.RECIPE_PATH).parent)
    recipe_mount = {"name": "recipe", "mountPath": recipe_folder, "readOnly": True}
    return {
        "name": BUILDER,
        "image": settings.builder_image,
        "command": ["python", "-m", "slipstream_builder", "build"],
        "args": [
            f"--recipe={names.RECIPE_PATH}",
            f"--store={names.ARTIFACTS_PATH}",
            f"--work={pods.WORK_PATH}/build",
            f"--summary={names.TERMINATION_PATH}",
            *(f"--keep={digest}" for digest in keep),
        ],
        "terminationMessagePath": names.TERMINATION_PATH,
        "terminationMessagePolicy": "File",
        "securityContext": pods.container_security(),
        "resources": pods.resources(_processors(recipe, settings), settings.builder_memory),
        "volumeMounts": [pods.artifacts_mount(read_only=False), recipe_mount, pods.work_mount(), *sources, *secrets],
    }


def _processors(recipe: Recipe, settings: OperatorSettings) -> str:
    """Return at least as many processors as a replica will have, because its latency is measured here."""
    return settings.builder_cpu if recipe.threads <= 1 else str(max(recipe.threads, _whole(settings.builder_cpu)))


def _whole(processors: str) -> int:
    return int(processors) if processors.isdigit() else 1


def _volumes(owner: Owner, recipe: Recipe, claims: tuple[str, ...]) -> list[Document]:
    sources = [
        {"name": _volume("claim", i), "persistentVolumeClaim": {"claimName": c, "readOnly": True}}
        for i, c in enumerate(claims)
    ]
    secrets = [
        {"name": _volume("secret", i), "secret": {"secretName": s, "defaultMode": 0o440}}
        for i, s in enumerate(_secrets(recipe))
    ]
    recipe_volume = {"name": "recipe", "configMap": {"name": recipe_name(owner, recipe.digest)}}
    mine = [pods.artifacts_volume(owner, read_only=False), recipe_volume, pods.work_volume(WORK_SIZE)]
    return [*mine, *sources, *secrets]


def _secrets(recipe: Recipe) -> tuple[str, ...]:
    """Return the Secrets that the kubelet mounts into the build; the operator itself reads none."""
    return tuple(sorted({source.secret for source in recipe.sources if source.secret is not None}))


def _volume(kind: str, index: int) -> str:
    return f"{kind}-{index}"
