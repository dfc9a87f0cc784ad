"""The bearer token that an AgentDeployment gets when its user names none, and how replicas see its digest only."""

from slipstream_contract import names
from slipstream_contract.keys import DEFAULT_CALLER, accepting_line
from slipstream_operator.cluster.children.metadata import RUNTIME, Document, Owner, child


def keys_secret_name(owner: Owner) -> str:
    """Return the name of the Secret of the token that was made."""
    return f"{owner.name}-keys"


def keys_secret(owner: Owner, token: str) -> Document:
    """Return the Secret: the token for the user, and the line that accepts it for the replicas."""
    data = {names.TOKEN_FILE: token, names.KEYS_FILE: f"{accepting_line(DEFAULT_CALLER, token)}\n"}
    return {**child("v1/Secret", keys_secret_name(owner), owner, RUNTIME), "type": "Opaque", "stringData": data}
