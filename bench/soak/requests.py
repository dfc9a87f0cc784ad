"""Prebuilt requests with the nonce patched in, and what an answer must hold. Pure."""

import json
from dataclasses import dataclass

from bench.soak.models import TRAP

FIRST_NONCE = 10**15
"""Nonces have 16 digits, so that every body is as long as its template."""

_MARK = 1111111111111111


@dataclass(frozen=True)
class Kind:
    """One kind of request.

    Attributes:
        parts: the bytes around the nonces.
        rows: how many nonces it holds, one after the other.
        binary: whether nonces travel as little-endian bytes, both ways.
        fails: whether the model fails on it.
    """

    parts: tuple[bytes, ...]
    rows: int
    binary: bool = False
    fails: bool = False

    def request(self, nonce: int) -> bytes:
        """Return the whole request for `nonce` and its successors."""
        found = [self.parts[0]]
        for row, part in enumerate(self.parts[1:]):
            found += (self.written(nonce + row), part)
        return b"".join(found)

    def written(self, nonce: int) -> bytes:
        """Return one nonce as it travels."""
        return nonce.to_bytes(8, "little") if self.binary else b"%d" % nonce

    def answers(self, body: bytes, nonce: int) -> bool:
        """Return whether `body` holds exactly the nonces of this request."""
        if self.binary:
            wanted = b"".join([self.written(nonce + row) for row in range(self.rows)])
            return body.endswith(wanted) and body[: -len(wanted)].endswith(b"}")
        wanted = b",".join([self.written(nonce + row) for row in range(self.rows)])
        return body.count(b"[%b]" % wanted) == 1


def kinds(model: str) -> dict[str, Kind]:
    """Return the kinds of requests to the replica of `model`."""
    return {
        "one": _json(model, 1),
        "three": _json(model, 3),
        "binary": _binary(model),
        "trap": _json(model, 1, trap=TRAP),
        "hasty": _json(model, 1, timeout=300),
    }


def _json(model: str, rows: int, trap: int = 0, timeout: int = 0) -> Kind:
    body: dict[str, object] = {
        "inputs": [
            {"name": "nonce", "shape": [rows, 1], "datatype": "INT64", "data": [_MARK] * rows},
            {"name": "trap", "shape": [rows, 1], "datatype": "INT64", "data": [trap] * rows},
        ]
    }
    if timeout:
        body["parameters"] = {"timeout": timeout}
    content = json.dumps(body, separators=(",", ":")).encode()
    whole = _head(model, len(content)) + b"\r\n" + content
    return Kind(tuple(whole.split(b"%d" % _MARK)), rows, fails=trap == TRAP)


def _binary(model: str) -> Kind:
    parameters = {"binary_data_size": 8}
    header = json.dumps(
        {
            "inputs": [
                {"name": "nonce", "shape": [1, 1], "datatype": "INT64", "parameters": parameters},
                {"name": "trap", "shape": [1, 1], "datatype": "INT64", "parameters": parameters},
            ],
            "parameters": {"binary_data_output": True},
        },
        separators=(",", ":"),
    ).encode()
    head = _head(model, len(header) + 16) + b"Inference-Header-Content-Length: %d\r\n\r\n" % len(header)
    return Kind((head + header, bytes(8)), 1, binary=True)


def _head(model: str, length: int) -> bytes:
    return (
        f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n"
    ).encode()
