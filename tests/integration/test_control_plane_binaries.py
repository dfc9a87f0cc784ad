"""What `hack/control_plane/build.py` does before it compiles anything: look, choose, and refuse in one clear line."""

import os
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).parents[2] / "hack" / "control_plane" / "build.py"
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


def build(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key != "KUBEBUILDER_ASSETS"}
    command = [sys.executable, str(BUILD), *args]
    return subprocess.run(command, env={**inherited, **environ}, capture_output=True, text=True, check=False)


def binaries_in(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch(mode=0o755)
    return folder


def the_only_line(text: str) -> str:
    (line,) = text.splitlines()
    return line


def test_a_complete_folder_in_kubebuilder_assets_is_used_as_it_is(tmp_path: Path) -> None:
    folder = binaries_in(tmp_path / "assets", *NAMES)

    assert the_only_line(build(KUBEBUILDER_ASSETS=str(folder)).stdout) == str(folder)


def test_an_incomplete_folder_in_kubebuilder_assets_is_refused_by_naming_what_it_lacks(tmp_path: Path) -> None:
    folder = binaries_in(tmp_path / "assets", "etcd", "kube-apiserver", "kubectl")

    done = build(KUBEBUILDER_ASSETS=str(folder))

    assert done.returncode == 1
    assert "lacks kube-controller-manager:" in the_only_line(done.stderr)


def test_binaries_in_the_cache_are_used_without_go(tmp_path: Path) -> None:
    place = the_only_line(build("--print-cache-dir", SLIPSTREAM_CACHE=str(tmp_path)).stdout)
    assert Path(place).is_relative_to(tmp_path)
    binaries_in(Path(place), *NAMES)

    assert the_only_line(build(SLIPSTREAM_CACHE=str(tmp_path), PATH="").stdout) == place


def test_without_go_and_without_binaries_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = build(SLIPSTREAM_CACHE=str(tmp_path), PATH="")

    assert done.returncode == 1
    assert "go is not on PATH: install Go 1.26 or newer" in the_only_line(done.stderr)


def test_a_go_that_is_too_old_and_may_not_update_itself_is_refused(tmp_path: Path) -> None:
    go = binaries_in(tmp_path / "bin", "go") / "go"
    go.write_text("#!/bin/sh\necho go1.24.4\necho local\n")

    done = build(SLIPSTREAM_CACHE=str(tmp_path), PATH=f"{go.parent}:{os.environ['PATH']}")

    assert done.returncode == 1
    assert "go1.24.4 is too old" in the_only_line(done.stderr)
