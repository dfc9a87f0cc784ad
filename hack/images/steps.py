"""Runs the programs that make images: one at a time, heard of while they work, no mount of theirs left behind."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HEARTBEAT_SECONDS = 15
_WORDS = 200
_DEBIAN = {"buildah": "buildah", "debootstrap": "debootstrap", "unshare": "util-linux", "tar": "tar"}


class ImagesError(Exception):
    """The images cannot be made; the message is one line that says what to do."""


def say(message: str) -> None:
    """Report progress on stderr: stdout carries only the answer."""
    print(f"images: {message}", file=sys.stderr, flush=True)


def require_tools() -> None:
    """Go on if this machine can make images."""
    if missing := [package for tool, package in _DEBIAN.items() if shutil.which(tool) is None]:
        raise ImagesError(
            f"{', '.join(missing)} not installed: run `apt-get install {' '.join(missing)}`, "
            "or build images/Dockerfile with docker"
        )
    if os.geteuid() != 0:
        raise ImagesError("making images needs root: run it as root, or build images/Dockerfile with docker")


@dataclass(frozen=True)
class Step:
    """One part of the work: its title, and the file that takes what its programs say."""

    title: str
    log: Path

    def run(self, *command: str, environ: Mapping[str, str] | None = None) -> str:
        """Run the command in a mount namespace of its own, which leaves no mount behind however it ends.

        Returns its stdout.

        Raises:
            ImagesError: it failed; the message holds its last words.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        output = self.log.with_suffix(".out")
        started = time.monotonic()
        # With its parent gone nobody wants the image any more: the kernel ends what unshare started.
        shielded = ("unshare", "--mount", "--fork", "--kill-child", *command)
        with (
            self.log.open("wb") as log,
            output.open("wb") as out,
            subprocess.Popen(shielded, stdout=out, stderr=log, env=environ) as process,
        ):
            while not _ended(process):
                say(f"{self.title}: {time.monotonic() - started:.0f} s")
        if process.returncode:
            raise ImagesError(f"{self.title}: {command[0]} failed: {self._last_words(output)} (see {self.log})")
        answer = output.read_text()
        output.unlink()
        return answer

    def _last_words(self, output: Path) -> str:
        texts = (path.read_text(errors="replace") for path in (self.log, output))
        said = next((text for text in texts if text.strip()), "it said nothing")
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        return " | ".join(line[:_WORDS] for line in lines[-3:])


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=_HEARTBEAT_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True
