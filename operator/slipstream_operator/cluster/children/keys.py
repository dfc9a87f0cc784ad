"""The bearer token that an AgentDeployment gets when its user names none, and how replicas see its digest only."""

import hashlib

from slipstream_contract import names
from slipstream_operator.cluster.children.metadata import RUNTIME, Document, Owner, child

DEFAULT_CALLER = "default"
"""The caller's name beside the digest of the token that was made."""


def keys_secret_name(owner: Owner) -> str:
    """Return the name of the Secret of the token that was made."""
    return f"{owner.name}-keys"


def keys_secret(owner: Owner, token: str) -> Document:
    """Return the Secret: the token for the user, and the line that accepts it for the replicas."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    data = {names.TOKEN_FILE: token, names.KEYS_FILE: f"{DEFAULT_CALLER}:{digest}\n"}
    return {**child("v1/Secret", keys_secret_name(owner), owner, RUNTIME), "type": "Opaque", "stringData": data}
