"""Write the secrets that a control plane starts from: user tokens, a service-account key, kubeconfig files."""

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def write_tokens(token_file: Path, group_of_user: Mapping[str, str]) -> dict[str, str]:
    """Write a static token file with these users and return each user's token."""
    tokens = {user: secrets.token_urlsafe(24) for user in group_of_user}
    lines = [f'{tokens[user]},{user},{user},"{group}"' for user, group in group_of_user.items()]
    _write_secret(token_file, "\n".join(lines) + "\n")
    return tokens


def write_service_account_key(key_file: Path) -> None:
    """Write the private key that signs service-account tokens; the API server verifies with the same file."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    _write_secret(key_file, pem.decode())


def write_kubeconfig(file: Path, url: str, certificate_authority: Path | None, token: str) -> Path:
    """Write a kubeconfig that stands alone, without an authority for a server without TLS; JSON is YAML too."""
    cluster = {"server": url}
    if certificate_authority is not None:
        authority = base64.b64encode(certificate_authority.read_bytes()).decode()
        cluster["certificate-authority-data"] = authority
    named = {
        "clusters": {"cluster": cluster},
        "users": {"user": {"token": token}},
        "contexts": {"context": {"cluster": "test", "user": "test"}},
    }
    lists = {kind: [{"name": "test", **entry}] for kind, entry in named.items()}
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "test", **lists}
    _write_secret(file, json.dumps(config, indent=1))
    return file


def _write_secret(file: Path, content: str) -> None:
    file.touch(mode=0o600)
    file.write_text(content)
