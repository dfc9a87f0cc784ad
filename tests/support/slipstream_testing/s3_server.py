"""A real S3 server on loopback (versitygw): it checks signatures, regions and policies as the cloud's own does."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

from obstore.store import S3Store

from slipstream_testing.components import Component, free_ports
from slipstream_testing.waiting import eventually

_BUILD = Path(__file__).parents[3] / "hack" / "control_plane" / "s3_server.py"
REGION = "eu-central-1"
ACCESS_KEY = "AKIATESTTESTTESTTEST"
SECRET_KEY = "t3st/s3cret+key"  # of a server that lives as long as the tests


def provide_binary() -> Path:
    """The server's binary; the very first call builds it."""
    done = subprocess.run([sys.executable, str(_BUILD)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"no S3 server to test with: `python3 {_BUILD}` says why")
    return Path(done.stdout.splitlines()[-1])


class S3Server:
    """The server for the length of a `with` block; buckets are folders, and what S3 adds to them lies beside."""

    def __init__(self, binary: Path) -> None:
        """Prepare a folder and a port; nothing runs yet."""
        self._folder = Path(tempfile.mkdtemp(prefix="slipstream-s3-"))
        self._buckets, self._metadata = self._folder / "buckets", self._folder / "metadata"
        for folder in (self._buckets, self._metadata):
            folder.mkdir()
        (self._port,) = free_ports(1)
        self.endpoint = f"http://127.0.0.1:{self._port}"
        flags = {"port": f"127.0.0.1:{self._port}", "access": ACCESS_KEY, "secret": SECRET_KEY, "region": REGION}
        backend = ("posix", f"--sidecar={self._metadata}", str(self._buckets))
        self._server = Component(binary, flags, self._folder, backend)

    def __enter__(self) -> Self:
        """Start, and return when it listens."""
        self._server.start()
        try:
            eventually(self._is_up)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and remove the folder."""
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def keys(self) -> dict[str, str]:
        """A secret that may read everything here."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
        }

    def bucket(self, name: str, public: bool = False) -> S3Store:
        """Make a bucket, readable without keys if `public`."""
        (self._buckets / name).mkdir()
        if public:
            everyone = {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{name}/*",
            }
            policy = self._metadata / name / "meta" / "policy"
            policy.parent.mkdir(parents=True)
            policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [everyone]}))
        return S3Store(
            name,
            endpoint=self.endpoint,
            region=REGION,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            client_options={"allow_http": True},
        )

    def _is_up(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        if self._server.pid is None:
            raise RuntimeError(f"the S3 server exited while starting:\n{self._server.log_tail()}")
        return False
