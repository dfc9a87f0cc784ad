"""What the cluster keeps for operator and replicas: the revisions to go back to, and the variant that answers."""

import json
from dataclasses import asdict, dataclass

from slipstream_contract import names
from slipstream_operator.cluster.children.metadata import RUNTIME, Document, Owner, child, revisions_name, variant_name
from slipstream_operator.reconcile import revisions
from slipstream_operator.reconcile.revisions import Revision

REVISIONS_KEY = "revisions.json"
GOOD_KEY = "good.json"


@dataclass(frozen=True)
class Good:
    """The pod template that was last wholly in service, and the digest of the artifact that it serves."""

    artifact: str
    template: Document


def revisions_config(owner: Owner, kept: tuple[Revision, ...], good: Good | None) -> Document:
    """Return the ConfigMap of the kept revisions, and of the template to go back to, if there is one."""
    config = child("v1/ConfigMap", revisions_name(owner), owner, RUNTIME)
    last = {GOOD_KEY: json.dumps(asdict(good), sort_keys=True)} if good is not None else {}
    return {**config, "data": {REVISIONS_KEY: revisions.to_json(kept), **last}}


def kept_revisions(config: Document | None) -> tuple[Revision, ...]:
    """Return the revisions that the ConfigMap keeps."""
    return revisions.from_json(config.get("data", {}).get(REVISIONS_KEY, "")) if config else ()


def kept_good(config: Document | None) -> Good | None:
    """Return the template to go back to, if the ConfigMap knows one."""
    try:
        found = json.loads(config.get("data", {}).get(GOOD_KEY, "{}")) if config else {}
        return Good(found["artifact"], found["template"]) if isinstance(found["template"], dict) else None
    except (ValueError, KeyError, TypeError):
        return None


def variant_config(owner: Owner, variant: str) -> Document:
    """Return the ConfigMap that replicas have mounted; the kubelet brings a change to them within about a minute."""
    config = child("v1/ConfigMap", variant_name(owner), owner, RUNTIME)
    return {**config, "data": {names.VARIANT_FILE: variant}}


def asked_variant(config: Document | None) -> str:
    """Return the variant that the ConfigMap names, or nothing."""
    return str(config.get("data", {}).get(names.VARIANT_FILE, "")) if config else ""
