"""A local file is only read where its address says it is: links, devices and FIFOs lead nowhere."""

import os
from pathlib import Path

import pytest

from slipstream_builder.fetching.links import open_inside


@pytest.fixture
def claim(tmp_path):
    root = tmp_path / "claim"
    (root / "models").mkdir(parents=True)
    (root / "models" / "model.onnx").write_bytes(b"model")
    (tmp_path / "secret").write_bytes(b"another pod's")
    return root


def test_a_plain_file_is_read(claim):
    with open_inside(claim / "models" / "model.onnx", claim) as file:
        assert file.read() == b"model"


def test_a_symbolic_link_within_the_claim_is_followed_as_mounted_config_maps_need(claim):
    (claim / "..data").symlink_to("models")
    (claim / "model.onnx").symlink_to("..data/model.onnx")

    with open_inside(claim / "model.onnx", claim) as file:
        assert file.read() == b"model"


@pytest.mark.parametrize("name", ["link.onnx", "folder/secret"])
def test_a_symbolic_link_out_of_the_claim_is_refused_wherever_in_the_path_it_is(claim, name):
    (claim / "link.onnx").symlink_to("../secret")
    (claim / "folder").symlink_to("..")

    with pytest.raises(ValueError, match=r"symbolic link leads out of .*claim to .*secret"):
        open_inside(claim / name, claim)


def test_a_symbolic_link_out_of_its_folder_is_refused_when_no_root_is_given(claim):
    (claim / "link.onnx").symlink_to("../secret")

    with pytest.raises(ValueError, match="name that file itself"):
        open_inside(claim / "link.onnx")


def test_a_folder_that_is_itself_a_link_is_the_users_own_choice(claim, tmp_path):
    (tmp_path / "current").symlink_to(claim / "models")

    with open_inside(tmp_path / "current" / "model.onnx") as file:
        assert file.read() == b"model"


def test_a_hard_linked_file_is_refused(claim, tmp_path):
    os.link(tmp_path / "secret", claim / "model.onnx")

    with pytest.raises(ValueError, match="2 hard links"):
        open_inside(claim / "model.onnx", claim)


def test_a_fifo_is_refused_without_waiting_for_a_writer(claim):
    os.mkfifo(claim / "pipe.onnx")

    with pytest.raises(ValueError, match="not a regular file"):
        open_inside(claim / "pipe.onnx", claim)


def test_a_device_is_refused():
    with pytest.raises(ValueError, match="not a regular file"):
        open_inside(Path("/dev/zero"))


def test_a_link_to_nothing_is_a_missing_file(claim):
    (claim / "model.onnx").symlink_to("nowhere")

    with pytest.raises(ValueError, match="no such file"):
        open_inside(claim / "model.onnx", claim)
