"""Callers by the keys of a file, which is read again when it changes: `--authentication keys`."""

import asyncio
import logging
import os
import stat
from collections.abc import Mapping

from slipstream_contract.keys import digest_of
from slipstream_runtime.callers.gate import Caller, bearer_token
from slipstream_runtime.callers.key_file import HOW_TO_MAKE, MAX_FILE_BYTES, parse_keys
from slipstream_runtime.errors import AuthenticationError, StartError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
MAX_REMEMBERED = 1024


class KeysGate:
    """Knows callers by the digest of their key.

    No comparison can be timed: keys are looked up by digest, of which a caller cannot choose the first bytes, and
    the headers remembered below by a hash that is salted in each process.
    """

    def __init__(self, path: str) -> None:
        """Read the file.

        Raises:
            StartError: it cannot be used; the message names the line and what to do.
        """
        if not path:
            raise StartError(
                "--authentication: keys needs --keys-file, a file of NAME:SHA256_HEX lines"
                f" ({HOW_TO_MAKE}); --authentication none lets everyone in"
            )
        self._path = path
        self._text = _read(path)
        self._refused = ""
        self._callers: Mapping[bytes, Caller] = parse_keys(self._text)
        self._remembered: dict[bytes, Caller] = {}
        self._looking: asyncio.TimerHandle | None = None

    def known(self, authorization: bytes | None) -> Caller | None:
        """Return the caller whose header was seen before."""
        return self._remembered.get(authorization) if authorization is not None else None

    async def review(self, authorization: bytes | None) -> Caller:
        """Return the caller whose key it is, and remember the header.

        Raises:
            AuthenticationError: there is no token, or it is not in the file.
        """
        token = bearer_token(authorization)
        caller = self._callers.get(digest_of(token))
        if caller is None:
            raise AuthenticationError("Authorization: this key is not known here; ask whoever runs this model for one")
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()  # one key has few spellings of its header; this many are not worth an order
        self._remembered[bytes(authorization or b"")] = caller
        return caller

    def look(self) -> None:
        """Read the file again; while it cannot be used, the keys read last stay, and one line of log says so."""
        try:
            text = _read(self._path)
            if text == self._text:
                self._refused = ""
                return
            self._callers = parse_keys(text)
        except StartError as error:
            if str(error) != self._refused:
                self._refused = str(error)
                logger.warning("%s; the keys read before stay in force", error)
            return
        self._text, self._refused = text, ""
        self._remembered.clear()
        logger.info("--keys-file: read again, %d keys", len(self._callers))

    def start(self) -> None:
        """Look at the file once a second from now on.

        Comparing its bytes beats comparing times: a file replaced twice within one tick of the clock is seen too.
        """
        self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_again)

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()

    def _look_again(self) -> None:
        self.look()
        self.start()


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise StartError("--keys-file: everyone on this machine may write it; chmod o-w it")
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise StartError(f"--keys-file: larger than {MAX_FILE_BYTES} bytes")
        return content.decode()
    except OSError as error:
        raise StartError(f"--keys-file: {path}: {error.strerror}; give a readable file") from error
    except UnicodeDecodeError as error:
        raise StartError("--keys-file: not text; it holds lines of NAME:SHA256_HEX") from error
