"""The body of an answer, unpacked in pieces: however it was packed, no more is held than may be read.

A client's own unpacking takes each piece whole, and a few thousand packed bytes can be a gigabyte of text.
"""

import zlib
from collections.abc import AsyncIterator

PACKED = {"gzip", "x-gzip"}  # what we ask for
EITHER = 47  # zlib's word for: gzip or zlib, by the header


class TooLarge(Exception):
    """More than may be read."""


class NotPackedSo(Exception):
    """The body is not what its header says."""


async def read_body(pieces: AsyncIterator[bytes], encoding: str, most: int) -> bytes:
    """The unpacked body of at most `most` bytes. Raises TooLarge and NotPackedSo."""
    named = encoding.strip().lower()
    if named in ("", "identity"):
        return await _as_it_is(pieces, most)
    if named not in PACKED:
        raise NotPackedSo(f"packed as {named[:40]!r}, which was not asked for")
    return await _unpacked(pieces, most)


async def _as_it_is(pieces: AsyncIterator[bytes], most: int) -> bytes:
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > most:
            raise TooLarge
    return bytes(body)


async def _unpacked(pieces: AsyncIterator[bytes], most: int) -> bytes:
    body, unpacking, came = bytearray(), zlib.decompressobj(wbits=EITHER), False
    async for piece in pieces:
        came = came or bool(piece)
        try:
            body += unpacking.decompress(piece, most + 1 - len(body))
        except zlib.error as error:
            raise NotPackedSo(str(error)) from error
        if len(body) > most:
            raise TooLarge
    if came and not unpacking.eof:
        raise NotPackedSo("the packed body ends too early")
    return bytes(body)
