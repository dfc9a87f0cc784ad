"""The protocol's error document, apart from all else, so that a process without tensors can answer too. Pure."""

import orjson

JSON_TYPE = b"application/json"


def error_body(message: str) -> bytes:
    """Return the protocol's error document."""
    return orjson.dumps({"error": message})
