"""Keep what was built once for all checkouts: whoever sees a kept folder sees it complete."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from binaries import missing_from, only_builder_of


def kept(folder: Path, names: Sequence[str], build: Callable[[Path, Path], None]) -> Path:
    """The folder with all these binaries; if one is missing, `build` fills it, given it and a scratch folder."""
    if missing_from(folder, names):
        with only_builder_of(folder):
            if missing_from(folder, names):
                _fill(folder, build)
    return folder


def _fill(folder: Path, build: Callable[[Path, Path], None]) -> None:
    """Build beside the folder and rename."""
    building = folder.with_name(f"{folder.name}.building")
    for leftover in (building, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    binaries, workspace = building / "binaries", building / "workspace"
    binaries.mkdir(parents=True)
    workspace.mkdir()
    try:
        build(binaries, workspace)
        binaries.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
