"""The chunked coding, read in whatever pieces, means what llhttp says."""

import httptools
from hypothesis import given
from hypothesis import strategies as st

from slipstream_runtime.rest.chunks import ChunkReader
from slipstream_runtime.rest.faults import HttpError

HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"


class Reference:
    """What llhttp makes of the same bytes."""

    def __init__(self):
        self.body = b""
        self.complete = False

    def on_body(self, part):
        self.body += part

    def on_message_complete(self):
        self.complete = True


def by_llhttp(data):
    seen = Reference()
    try:
        httptools.HttpRequestParser(seen).feed_data(HEAD + data)
    except httptools.HttpParserError:
        return None
    return (seen.body, seen.complete)


def by_us(data, sizes):
    reader, buffer, body, complete = ChunkReader(), bytearray(), bytearray(), False
    try:
        for size in [*sizes, len(data)]:
            buffer += data[:size]
            data = data[size:]
            complete = complete or reader.take(buffer, body)
    except HttpError:
        return None
    return (bytes(body), complete)


PIECES = st.sampled_from(
    [b"0", b"1", b"5", b"A", b"f", b"\r\n", b"\n", b"\r", b"a", b"hello", b";x=y", b" ", b"X: y", b""]
)


@given(st.lists(PIECES, max_size=12).map(b"".join), st.lists(st.integers(0, 5), max_size=6))
def test_the_chunked_coding_means_what_llhttp_says_or_is_refused(data, sizes):
    ours = by_us(data, sizes)
    assert ours == by_us(data, [])
    theirs = by_llhttp(data)
    if ours is not None and theirs is not None:
        assert ours == theirs


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.lists(st.integers(0, 9), max_size=9))
def test_well_formed_chunks_give_their_bytes(parts, sizes):
    data = b"".join(b"%X;ext=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nTrailer: x\r\n\r\n"
    assert by_us(data, sizes) == by_llhttp(data) == (b"".join(parts), True)
