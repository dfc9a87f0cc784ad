"""Files on disk and in claims, what every scheme checks, and secrets as they are mounted."""

import errno
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipstream_builder.fetching import transfer
from slipstream_testing.fetching import Fetcher

BODY = bytes(range(256)) * 100
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "my model.onnx"
    path.write_bytes(BODY)
    return path


@pytest.mark.parametrize("address", [str, lambda path: f"file://{path}", lambda path: f"file://localhost{path}"])
def test_a_path_and_a_file_address_name_the_same(fetcher: Fetcher, model: Path, address: Callable[[Path], str]) -> None:
    assert fetcher.fetch(address(model)).data == BODY


def test_a_file_address_may_be_percent_encoded(fetcher: Fetcher, model: Path) -> None:
    assert fetcher.fetch(f"file://{model}".replace(" ", "%20"), SHA256.upper()).sha256 == SHA256


def test_a_claim_is_read_where_it_is_mounted(fetcher: Fetcher) -> None:
    path = fetcher.folder / "claims" / "models" / "v1" / "model.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)

    assert fetcher.fetch("pvc://models/v1/model.onnx").data == BODY


def test_what_was_fetched_does_not_change_with_the_file(fetcher: Fetcher, model: Path) -> None:
    got = fetcher.fetch(str(model))
    model.write_bytes(b"other")

    assert (got.data, got.sha256) == (BODY, SHA256)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "an address is one line without control characters"),
        ("https://host/a\nb", "an address is one line without control characters"),
        ("ftp://host/model.onnx", "scheme 'ftp' is not known; use file, pvc, http, https, s3, gs, hf"),
        ("https:///model.onnx", "a web address is https://HOST[:PORT]/PATH"),
        ("http://host:99999/x", "a web address is http://HOST[:PORT]/PATH"),
        ("http://host:0/x", "a web address is http://HOST[:PORT]/PATH"),
        ("http://host:port/x", "a web address is http://HOST[:PORT]/PATH"),
        ("http://[::1/x", "a web address is http://HOST[:PORT]/PATH"),
        ("http://\xe4..b/x", "a web address is http://HOST[:PORT]/PATH"),
        (f"http://{'a' * 64}.com/x", "a web address is http://HOST[:PORT]/PATH"),
        ("pvc://models/%00", "a path holds no NUL"),
        ("file:///data/%00", "a path holds no NUL"),
        ("s3://bucket/../x", "the address or the credentials have a form that the store does not take"),
        ("file://host/model.onnx", "a file: address has three slashes"),
        ("pvc://models", "pvc://CLAIM/PATH, without '..'"),
        ("pvc://models/../other/model.onnx", "pvc://CLAIM/PATH, without '..'"),
        ("pvc://../model.onnx", "pvc://CLAIM/PATH, without '..'"),
        ("s3://bucket", "an object's address is s3://BUCKET/KEY"),
        ("s3://key:secret@bucket/model.onnx", "credentials and endpoints go into a secret"),
        ("gs:///model.onnx", "an object's address is gs://BUCKET/KEY"),
        ("hf://org/repo", "hf://ORG/REPO[@REVISION]/PATH"),
        ("hf://org/repo@/model.onnx", "hf://ORG/REPO[@REVISION]/PATH"),
        ("hf://org/repo/../../x", "hf://ORG/REPO[@REVISION]/PATH"),
        ("/nowhere/model.onnx", "no such file; check the path"),
        ("/tmp", "not a regular file; name one file"),  # noqa: S108  # any folder will do
        ("/dev/zero", "not a regular file; name one file"),
    ],
)
def test_an_address_that_names_no_file_is_refused(fetcher: Fetcher, address: str, words: str) -> None:
    assert words in fetcher.refusal(address)


def test_an_empty_file_is_refused(fetcher: Fetcher, model: Path) -> None:
    model.write_bytes(b"")

    assert fetcher.refusal(str(model)).endswith("the file is empty; check the address")


def test_a_file_over_the_limit_is_refused_before_it_is_read(fetcher: Fetcher, model: Path) -> None:
    fetcher.limits = replace(fetcher.limits, max_bytes=len(BODY) - 1)

    assert "larger than 25599 bytes, the most a build takes" in fetcher.refusal(str(model))


def test_a_file_of_just_the_limit_is_taken(fetcher: Fetcher, model: Path) -> None:
    fetcher.limits = replace(fetcher.limits, max_bytes=len(BODY))

    assert fetcher.fetch(str(model)).size == len(BODY)


def test_a_full_disk_is_left_to_those_who_know_what_is_full(
    fetcher: Fetcher, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer.Sink, "write", full)

    with pytest.raises(OSError, match="No space left"):
        fetcher.fetch(str(model))


def test_a_secret_that_is_not_mounted_is_named(fetcher: Fetcher) -> None:
    said = fetcher.refusal("https://host.test/model.onnx", secret="absent")

    assert "secret absent is not mounted" in said
    assert "create it in the agent's namespace" in said


@pytest.mark.parametrize("name", ["..", "a/b", "."])
def test_a_secret_outside_the_mounts_is_refused(fetcher: Fetcher, name: str) -> None:
    (fetcher.folder / "secrets").mkdir()

    assert "is not mounted" in fetcher.refusal("https://host.test/model.onnx", secret=name)


@pytest.mark.parametrize(
    ("uri", "keys", "words"),
    [
        ("https://host.test/x", {"other": "1"}, "has no key token or bearerToken (it has other); add it"),
        ("https://host.test/x", {"username": "me"}, "has no key password (it has username); add it"),
        ("https://host.test/x", {"token": "a\nb"}, "key token of secret mine is empty or has several lines"),
        ("https://host.test/x", {"token": " \n"}, "key token of secret mine is empty or has several lines"),
        ("https://host.test/x", {"ca.crt": "-----BEGIN nonsense"}, "holds no PEM certificates"),
        ("hf://org/repo/x", {}, "has no key HF_TOKEN or token (it has none); add it"),
        ("gs://bucket/x", {"other": "1"}, "has no key GOOGLE_APPLICATION_CREDENTIALS or key.json or"),
        ("s3://bucket/x", {"other": "1"}, "has no key AWS_ACCESS_KEY_ID or accesskey or accessKey"),
        ("s3://bucket/x", {"AWS_ACCESS_KEY_ID": "1"}, "has no key AWS_SECRET_ACCESS_KEY or"),
        ("s3://bucket/x", {"AWS_ENDPOINT_URL": "ftp://x"}, "the endpoint is no web address"),
        ("s3://bucket/x", {"AWS_ENDPOINT_URL": "http://169.254.169.254"}, "is a link-local address"),
    ],
)
def test_a_secret_that_does_not_fit_is_refused_before_anything_is_sent(
    fetcher: Fetcher, uri: str, keys: dict[str, str], words: str
) -> None:
    assert words in fetcher.refusal(uri, secret=fetcher.secret("mine", keys))
