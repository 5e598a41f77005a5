"""A body is bounded however it is packed; half of one is no answer."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
import zstandard

from ray_app.connect.body import NotPackedSo, TooLarge, read_body
from ray_app.model.errors import Malformed, Transient
from tests.connect.conftest import Answering, Ask, http_answer, markets

MIB = 2**20
TEXT = b"an answer " * 20_000


async def pieces(body: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


@pytest.mark.parametrize("size", [1, 7, 65536])
@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (TEXT[:500], ""),
        (TEXT[:500], "identity"),
        (gzip.compress(TEXT[:500], mtime=0), "gzip"),
        (gzip.compress(b"", mtime=0), "X-GZIP"),
        (b"", "gzip"),
    ],
    ids=["plain", "identity", "gzip", "nothing packed", "nothing"],  # bytes of gzip have a time in them
)
async def test_a_body_comes_out_as_it_went_in(packed: bytes, encoding: str, size: int):
    expected = b"" if encoding == "X-GZIP" or not packed else TEXT[:500]
    assert await read_body(pieces(packed, size), encoding, 500) == expected


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_a_body_of_exactly_what_may_be_read_is_read(encoding: str):
    packed = gzip.compress(TEXT) if encoding else TEXT
    assert await read_body(pieces(packed), encoding, len(TEXT)) == TEXT
    with pytest.raises(TooLarge):
        await read_body(pieces(packed), encoding, len(TEXT) - 1)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(TEXT, mtime=0)[:-9], "gzip"),  # cut off
        (b"plain text", "gzip"),
        (zstandard.compress(TEXT), "zstd"),
        (gzip.compress(gzip.compress(TEXT, mtime=0), mtime=0), "gzip, gzip"),
        (TEXT, "br"),
    ],
    ids=["cut off", "plain", "zstd", "twice", "br"],
)
async def test_what_is_not_packed_as_it_says_is_no_body(body: bytes, encoding: str):
    with pytest.raises(NotPackedSo):
        await read_body(pieces(body), encoding, MIB)


async def peak_of(body: bytes, encoding: str) -> int:
    """Bytes held at most while it is read within 5 MiB."""
    tracemalloc.start()
    try:
        with pytest.raises((TooLarge, NotPackedSo)):
            await read_body(pieces(body), encoding, 5 * MIB)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_a_bomb_is_let_off_in_a_small_room():
    """50 MiB as they are; 1 GiB in a megabyte of gzip; the same in 100 kB of another packing."""
    packing = zlib.compressobj(9, wbits=31)
    bomb = b"".join([packing.compress(bytes(MIB)) for _ in range(1024)] + [packing.flush()])
    assert len(bomb) < 2 * MIB
    small = zstandard.ZstdCompressor(level=3).compress(bytes(256 * MIB))
    assert len(small) < 65536  # one piece
    for body, encoding in ((bytes(50 * MIB), ""), (bomb, "gzip"), (small, "zstd")):
        assert await peak_of(body, encoding) < 16 * MIB, encoding


async def test_over_http_too(asking: Ask, answering: Answering):
    packed = zstandard.ZstdCompressor().compress(bytes(128 * MIB))
    address = await answering(lambda _: http_answer(packed, content_encoding="zstd", x_simulated="yes"))
    tracemalloc.start()
    try:
        with pytest.raises(Transient, match="which was not asked for"):
            await markets(asking(address, attempts=1))
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()
    address = await answering(lambda _: http_answer(bytes(65 * MIB), x_simulated="yes"))
    with pytest.raises(Malformed, match="body over"):
        await markets(asking(address, attempts=1))
