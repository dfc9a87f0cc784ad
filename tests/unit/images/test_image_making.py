"""What is sure about the images before any is built: their names, the words for what is missing, torch without CUDA."""

import ctypes
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hack.images.contents import digest
from images.leave_out_cuda import shared_object

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("images", "runtime/slipstream_contract"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "hack").mkdir()
    for name in ("hack/compiled.py", "operator", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    "changed", ["runtime/slipstream_contract/names.py", "images/Dockerfile", "hack/compiled.py", "pyproject.toml"]
)
def test_images_of_other_contents_get_another_name(checkout: Path, changed: str) -> None:
    before = digest("base", checkout)

    with (checkout / changed).open("a") as file:
        file.write("# changed\n")

    assert digest("base", checkout) != before


def test_what_python_compiles_beside_the_sources_changes_no_name(checkout: Path) -> None:
    before = digest("base", checkout)

    compiled = checkout / "runtime" / "slipstream_contract" / "__pycache__" / "other.pyc"
    compiled.parent.mkdir(exist_ok=True)
    compiled.touch()

    assert digest("base", checkout) == before


def test_another_base_makes_other_images(checkout: Path) -> None:
    assert digest("bookworm", checkout) != digest("trixie", checkout)


def test_a_machine_without_buildah_is_told_what_to_install(tmp_path: Path) -> None:
    environ = {**os.environ, "PATH": str(tmp_path), "SLIPSTREAM_CACHE": str(tmp_path)}
    build = [sys.executable, str(ROOT / "hack" / "images" / "build.py")]

    done = subprocess.run(build, env=environ, capture_output=True, text=True, check=False)

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "apt-get install buildah debootstrap" in line


def test_a_library_without_code_is_loaded_and_names_its_functions(tmp_path: Path) -> None:
    (machine,) = struct.unpack_from("<H", Path(sys.executable).read_bytes(), 18)  # Python's own, from its ELF header
    (tmp_path / "libnames.so").write_bytes(shared_object("libnames.so", machine, functions=["first", "second"]))
    (tmp_path / "libempty.so.1").write_bytes(shared_object("libempty.so.1", machine, needs="libnames.so"))

    empty = ctypes.CDLL(str(tmp_path / "libempty.so.1"))

    assert hasattr(empty, "first")
    assert hasattr(empty, "second")
    assert not hasattr(empty, "third")
