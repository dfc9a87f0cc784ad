"""Rights as sets of who may do what: those that manifests grant, and those that an audit log shows in use."""

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import yaml

from slipstream_testing.api import Json

Right = tuple[str, str, str]
"""API group, resource with its subresource, and verb."""


def granted(rules: Iterable[Json]) -> Iterator[Right]:
    """Return what these RBAC rules grant."""
    for rule in rules:
        yield from product(rule["apiGroups"], rule["resources"], rule["verbs"])


def granted_by(manifest: Path, roles: Iterable[str]) -> Iterator[Right]:
    """Return what the roles of these names in a manifest grant."""
    wanted = set(roles)
    for document in yaml.safe_load_all(manifest.read_text()):
        if document["kind"].endswith("Role") and document["metadata"]["name"] in wanted:
            yield from granted(document["rules"])


def used(entries: Iterable[Json]) -> Iterator[Right]:
    """Return the rights that the audited requests took; a patch that creates its object takes `create` too."""
    for entry in entries:
        about = entry.get("objectRef", {})
        if "resource" not in about:
            continue  # discovery, which everybody may read
        resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
        yield about.get("apiGroup", ""), resource, entry["verb"]
        if entry["verb"] == "patch" and entry["responseStatus"]["code"] == 201:
            yield about.get("apiGroup", ""), resource, "create"
