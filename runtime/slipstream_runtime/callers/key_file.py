r"""The file of accepted keys: one NAME:SHA256_HEX a line, empty lines and lines that begin with # aside. Pure.

NAME is the tenant; the same name may stand there with several keys, so that a key can be replaced while the old one
still works. The file holds plain SHA-256 digests on purpose: slow, salted hashes protect passwords, which can be
guessed. A key of 256 random bits cannot, so that a digest gives nothing away, and checking one costs no request time.
"""

import re
from collections.abc import Mapping

from slipstream_contract.keys import accepting_line, new_token
from slipstream_runtime.callers.gate import Caller
from slipstream_runtime.errors import StartError

MAX_FILE_BYTES = 1024 * 1024

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
DIGEST = re.compile(r"[0-9a-f]{64}")

HOW_TO_MAKE = "`slipstream key NAME` makes one"


def parse_keys(text: str) -> Mapping[bytes, Caller]:
    """Return the callers of a keys file by the digest of their key.

    Raises:
        StartError: a line is malformed, or there is none; the message names the line, never a key.
    """
    callers: dict[bytes, Caller] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, _, digest = line.partition(":")
        digest = digest.strip().lower()
        if not NAME.fullmatch(name) or not DIGEST.fullmatch(digest):
            raise StartError(f"--keys-file: line {number}: must be NAME:SHA256_HEX; {HOW_TO_MAKE}")
        if bytes.fromhex(digest) in callers:
            raise StartError(f"--keys-file: line {number}: the key of an earlier line again; remove one of them")
        callers[bytes.fromhex(digest)] = Caller(b"key:" + name.encode())
    if not callers:
        raise StartError(f"--keys-file: holds no key; {HOW_TO_MAKE}")
    return callers


def make_key(name: str) -> tuple[str, str]:
    """Return a new random key and the line of the keys file that accepts it.

    Raises:
        StartError: `name` would not be accepted.
    """
    if not NAME.fullmatch(name):
        raise StartError(f"{name!r}: a name has 1 to 63 letters, digits or . _ @ -, and begins with a letter or digit")
    key = new_token()
    return key, accepting_line(name, key)
