"""The certificate of the operator's own port: read from a folder, and again when it is renewed there."""

import asyncio
import logging
import ssl
from pathlib import Path

from slipstream_operator.errors import MachineError

_log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0


class Certificate:
    """`tls.crt` and `tls.key` of a folder, as a kubelet mounts a Secret; `context` serves them.

    Raises:
        MachineError: they cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._files = (folder / "tls.crt", folder / "tls.key")
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            self._loaded = self._load()
        except (OSError, ssl.SSLError) as error:
            raise MachineError(f"--tls-folder {folder}: {error}; it must hold tls.crt and tls.key in PEM") from error

    def look(self) -> None:
        """Serve new connections with what is in the folder now; what cannot be used leaves the old one in force."""
        try:
            if self._content() != self._loaded:
                self._loaded = self._load()
                _log.info("the certificate in %s was renewed", self._files[0].parent)
        except (OSError, ssl.SSLError) as error:
            _log.warning("the certificate in %s cannot be used: %s", self._files[0].parent, error)

    async def keep_fresh(self) -> None:
        """Look every half minute until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def _load(self) -> bytes:
        content = self._content()
        self.context.load_cert_chain(*self._files)
        return content

    def _content(self) -> bytes:
        return b"".join(file.read_bytes() for file in self._files)
