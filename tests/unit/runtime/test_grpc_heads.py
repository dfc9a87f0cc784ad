"""What a call's headers say, also when the same few bytes come to mean something else."""

import pytest
from hpack import Encoder

from slipstream_runtime.errors import BadRequestError, EncodingError, NotAllowedError
from slipstream_runtime.rpc.frames import FaultError
from slipstream_runtime.rpc.heads import HeadReader

HEAD = [(b":method", b"POST"), (b":path", b"/a"), (b"content-type", b"application/grpc")]


def test_the_same_bytes_mean_another_path_once_the_table_has_changed():
    reader, encoder = HeadReader(), Encoder()
    assert reader.read(encoder.encode(HEAD)).path == b"/a"
    again = encoder.encode(HEAD)
    assert [reader.read(again).path for _ in range(3)] == [b"/a"] * 3
    moved = encoder.encode([*HEAD, (b"x", b"1"), (b":path", b"/b")])
    assert reader.read(moved).path == b"/b"
    later = encoder.encode(HEAD)
    assert later != again
    assert reader.read(later).path == b"/a"
    assert reader.read(again).path != b"/a"


def test_shrinking_the_table_forgets_what_stood_in_it():
    reader, encoder = HeadReader(), Encoder()
    reader.read(encoder.encode(HEAD))
    again = encoder.encode(HEAD)
    assert reader.read(again).path == b"/a"
    reader.read(b"\x20")  # a table of no size
    with pytest.raises(FaultError):
        reader.read(again)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"4m", 4e-3), (b"5u", 5e-6), (b"99999999n", 0.1)]
)
def test_a_timeout_is_read_in_every_unit(timeout, seconds):
    head = HeadReader().read(Encoder().encode([*HEAD, (b"grpc-timeout", timeout)]))
    assert head.timeout_seconds == pytest.approx(seconds)


@pytest.mark.parametrize("timeout", [b"", b"1", b"-1S", b"123456789S", b"1.5S", b"1s"])
def test_a_timeout_of_another_form_is_refused(timeout):
    head = HeadReader().read(Encoder().encode([*HEAD, (b"grpc-timeout", timeout)]))
    assert isinstance(head.refusal, BadRequestError)


def test_what_is_no_call_is_refused():
    read = [
        HeadReader().read(Encoder().encode(fields)).refusal
        for fields in ([(b":method", b"GET"), *HEAD[1:]], HEAD[:2], [*HEAD, (b"grpc-encoding", b"gzip")])
    ]
    assert [type(refusal) for refusal in read] == [NotAllowedError, BadRequestError, EncodingError]
