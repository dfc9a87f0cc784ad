"""Keys of callers: bearer tokens of 256 random bits, and the lines of a keys file that accept them."""

import hashlib
import secrets

TOKEN_BYTES = 32

DEFAULT_CALLER = "default"
"""The caller's name of a token that was made for a deployment whose user named no keys."""


def new_token() -> str:
    """Return a new random token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: bytes) -> bytes:
    """Return what a keys file keeps of a token: its SHA-256, 32 bytes."""
    return hashlib.sha256(token).digest()


def accepting_line(name: str, token: str) -> str:
    """Return the line of a keys file that accepts `token` from the caller `name`."""
    return f"{name}:{digest_of(token.encode()).hex()}"
