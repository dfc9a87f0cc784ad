"""Which addresses may be connected to, and how addresses are shown."""

import pytest

from slipstream_builder.fetching import guard
from slipstream_builder.fetching.addresses import HubFile, hub_file_of, redacted


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "169.254.170.2",
        "fe80::1",
        "fe80::1%eth0",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "0.0.0.0",  # noqa: S104  # refused, not bound to
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
    ],
)
def test_metadata_link_local_and_no_ones_addresses_are_refused(address: str) -> None:
    with pytest.raises(guard.RefusedAddressError, match=r"host\.test resolves to .*from which nothing is fetched"):
        guard.checked("host.test", 443, lambda _host, _port: ["93.184.216.34", address])


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.96.0.1", "172.16.0.1", "192.168.1.1", "fd12:3456::1", "93.184.216.34", "2600::1"],
)
def test_loopback_private_and_public_addresses_are_allowed(address: str) -> None:
    assert guard.checked("host.test", 443, lambda _host, _port: [address]) == [address]


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"])
def test_other_spellings_of_a_metadata_address_are_seen_through(host: str) -> None:
    with pytest.raises(guard.RefusedAddressError):
        guard.checked(host, 80, guard.system_lookup)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://host/model.onnx", "https://host/model.onnx"),
        ("https://me:pass@host:8443/model.onnx", "https://***@host:8443/model.onnx"),
        ("https://token@host/m?X-Amz-Signature=abc#frag", "https://***@host/m?***"),
        ("https://a@b:pass@host/m", "https://***@host/m"),
        ("https://host/m#token", "https://host/m"),
        ("s3://key:secret@bucket/m", "s3://***@bucket/m"),
        ("/data/what?.onnx", "/data/what?.onnx"),
        ("https://host/\x1b[2J\n", "https://host/?***"),
        ("https://host/" + "x" * 300, "https://host/" + "x" * 184 + "..."),
    ],
)
def test_an_address_is_shown_short_and_without_credentials(uri: str, shown: str) -> None:
    assert redacted(uri) == shown


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("hf://org/repo/model.onnx", HubFile("model", "org/repo", None, "model.onnx")),
        ("hf://org/repo@v1.0/onnx/model.onnx", HubFile("model", "org/repo", "v1.0", "onnx/model.onnx")),
        ("hf://org/repo@refs%2Fpr%2F7/m.onnx", HubFile("model", "org/repo", "refs/pr/7", "m.onnx")),
        ("hf://datasets/org/repo@main/a.parquet", HubFile("dataset", "org/repo", "main", "a.parquet")),
        ("hf://spaces/org/repo/a@b.onnx", HubFile("space", "org/repo", None, "a@b.onnx")),
    ],
)
def test_a_hub_address_names_repository_revision_and_path(uri: str, file: HubFile) -> None:
    assert hub_file_of(uri) == file
