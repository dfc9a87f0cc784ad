"""Run kubectl as a user would, and show what it said when it fails."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kubectl:
    """kubectl as one identity at one API server; call it with kubectl's own arguments."""

    binary: Path
    kubeconfig: Path
    cache: Path

    def __call__(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002  the name it has in subprocess.run
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run it; a failure raises what kubectl said, unless `check` is off."""
        command = [str(self.binary), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}", *args]
        done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done
