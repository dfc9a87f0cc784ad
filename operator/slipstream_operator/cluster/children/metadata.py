"""Names, labels and ownership: one function for each identity that is used twice."""

from dataclasses import dataclass
from typing import Any

from slipstream_contract import codec, names

Document = dict[str, Any]

APP = "slipstream"
RUNTIME = "runtime"
BUILDER = "builder"
STORAGE = "storage"

ANNOTATION_REPLICAS = f"{names.GROUP}/replicas"
"""The replicas a Deployment was last given, so that someone else's change of its count is seen as drift."""

ANNOTATION_REVISION = f"{names.GROUP}/revision"
"""A digest of the pod template, on the pods: those of another revision are outdated."""

ANNOTATION_FAILED = f"{names.GROUP}/failed-revision"
"""On the Deployment: the revision whose replicas did not start, and why, so that it is not tried again unchanged."""

ANNOTATION_SUMMARY = f"{names.GROUP}/build-summary"
"""A Job's build summary, kept on it because its pods may be collected."""

JOB_PREFIX_LENGTH = 44
"""A Job's name is also a label of its pods, of at most 63 characters: 44 + `-build-` + 12."""


@dataclass(frozen=True)
class Owner:
    """The AgentDeployment that a child belongs to."""

    namespace: str
    name: str
    uid: str


def short(recipe_digest: str) -> str:
    """Return the part of a recipe's digest that names and labels carry."""
    return recipe_digest[:12]


def job_name(owner: Owner, recipe_digest: str) -> str:
    """Return the name of the Job that builds a recipe; the recipe contains the owner's name, so it is unique."""
    return f"{owner.name[:JOB_PREFIX_LENGTH]}-build-{short(recipe_digest)}"


def recipe_name(owner: Owner, recipe_digest: str) -> str:
    """Return the name of the ConfigMap that holds a recipe."""
    return f"{owner.name}-recipe-{short(recipe_digest)}"


def revisions_name(owner: Owner) -> str:
    """Return the name of the ConfigMap that holds the kept revisions."""
    return f"{owner.name}-revisions"


def variant_name(owner: Owner) -> str:
    """Return the name of the ConfigMap that tells the replicas which variant to answer with."""
    return f"{owner.name}-variant"


def artifacts_name(owner: Owner) -> str:
    """Return the name of the claim that holds the artifacts."""
    return f"{owner.name}-artifacts"


def component_name(owner: Owner, component: str) -> str:
    """Return the name of what a component has one of: its service account and network policy."""
    return f"{owner.name}-{component}"


def selector(owner: Owner, component: str) -> dict[str, str]:
    """Return the labels that select a component's pods; they never change."""
    return {names.LABEL_NAME: APP, names.LABEL_INSTANCE: owner.name, names.LABEL_COMPONENT: component}


def selector_text(owner: Owner, component: str) -> str:
    """Return the selector in the form of the scale subresource."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector(owner, component).items()))


def labels(owner: Owner, component: str, recipe_digest: str = "") -> dict[str, str]:
    """Return all labels of a child."""
    recipe = {names.LABEL_RECIPE: short(recipe_digest)} if recipe_digest else {}
    managed = {names.LABEL_MANAGED_BY: names.FIELD_MANAGER, names.LABEL_PART_OF: APP}
    return {**selector(owner, component), **managed, **recipe}


def child(kind: str, name: str, owner: Owner, component: str, recipe_digest: str = "") -> Document:
    """Return the frame of a child: kind, metadata and owner reference. `kind` is `GROUP/VERSION/KIND`."""
    api_version, _, bare_kind = kind.rpartition("/")
    return {
        "apiVersion": api_version,
        "kind": bare_kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": labels(owner, component, recipe_digest),
            "ownerReferences": [_reference(owner)],
        },
    }


def sealed(document: Document) -> Document:
    """Return the child with its own digest as an annotation, by which an unchanged child is known."""
    metadata = document["metadata"]
    annotations = {**metadata.get("annotations", {}), names.ANNOTATION_SPEC_HASH: codec.digest(document)[:16]}
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def revision_of(pod: Document) -> str | None:
    """Return the revision that a pod, or the template of a Deployment, says it is of."""
    revision: str | None = pod["metadata"].get("annotations", {}).get(ANNOTATION_REVISION)
    return revision


def is_owned(live: Document, owner: Owner) -> bool:
    """Return whether the live object is controlled by the owner: a namesake that is not is never touched."""
    references = live["metadata"].get("ownerReferences", [])
    return any(reference.get("controller") and reference["uid"] == owner.uid for reference in references)


def _reference(owner: Owner) -> Document:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
