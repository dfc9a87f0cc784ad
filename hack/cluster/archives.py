"""Put a static program into an image archive of its own, as there is no registry to pull one from."""

import hashlib
import io
import json
import tarfile
from pathlib import Path


def write_archive(file: Path, reference: str, program: Path, architecture: str) -> None:
    """Write an archive, in the form of `docker save`, of an image that holds the program as /NAME and runs it."""
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    entry = f"/{program.name}"
    configuration = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": [entry], "User": "65532:65532"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    members = {"manifest.json": json.dumps(manifest).encode(), "config.json": configuration, "layer.tar": layer}
    file.write_bytes(_tar(members, mode=0o644))


def _tar(members: dict[str, bytes], mode: int) -> bytes:
    """The same bytes for the same members: no times, no owners."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members.items():
            information = tarfile.TarInfo(name)
            information.size, information.mode = len(content), mode
            archive.addfile(information, io.BytesIO(content))
    return packed.getvalue()
