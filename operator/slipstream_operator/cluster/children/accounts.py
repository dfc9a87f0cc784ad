"""The service accounts of build and runtime pods: without a token and without rights."""

from slipstream_operator.cluster.children.metadata import Document, Owner, child, component_name


def service_account(owner: Owner, component: str) -> Document:
    """Return the service account of a component."""
    account = child("v1/ServiceAccount", component_name(owner, component), owner, component)
    return {**account, "automountServiceAccountToken": False}
