"""The claim that holds the artifacts, and the ConfigMap that holds a build's recipe."""

from pathlib import PurePosixPath

from slipstream_contract import codec, names
from slipstream_contract.recipe import Recipe
from slipstream_operator.api.spec import Storage
from slipstream_operator.cluster.children.metadata import (
    BUILDER,
    STORAGE,
    Document,
    Owner,
    artifacts_name,
    child,
    recipe_name,
)

RECIPE_KEY = PurePosixPath(names.RECIPE_PATH).name


def artifacts_claim(owner: Owner, storage: Storage) -> Document:
    """Return the claim of the artifact store."""
    storage_class = {"storageClassName": storage.storage_class} if storage.storage_class else {}
    claim = child("v1/PersistentVolumeClaim", artifacts_name(owner), owner, STORAGE)
    spec = {"accessModes": [storage.access_mode], "resources": {"requests": {"storage": storage.size}}, **storage_class}
    return {**claim, "spec": spec}


def recipe_config(owner: Owner, recipe: Recipe) -> Document:
    """Return the ConfigMap that the builder reads its recipe from."""
    config = child("v1/ConfigMap", recipe_name(owner, recipe.digest), owner, BUILDER, recipe.digest)
    return {**config, "immutable": True, "data": {RECIPE_KEY: codec.canonical_json(recipe).decode()}}
