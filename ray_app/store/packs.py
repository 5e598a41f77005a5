"""Many small files in one: blocks of several contents compressed together, and an index with the hash of each.

    magic | block | block | ... | index | where the index is, its hash, magic

A content is read by its block alone (a range of the file), and is checked against its hash.
"""

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

import zstandard

MAGIC = b"CDPACK1\n"
BLOCK = 2**20  # bytes of contents that are compressed together: what reading one content costs
LEVEL = 9
LONGEST = 2**28  # of a block when it is unpacked: one content, which is bounded where it comes in
_END = struct.Struct(">QQ32s8s")


class Damaged(ValueError):
    """A pack that is cut short, or whose bytes were changed."""


class Place(NamedTuple):
    """Where a content is: the number of its block, its place in it, its size, its SHA-256."""

    block: int
    start: int
    size: int
    digest: str


@dataclass(frozen=True)
class Index:
    """What a pack holds, by name. `blocks`: where each is in the file, and its length."""

    blocks: tuple[tuple[int, int], ...]
    places: dict[str, Place]

    @cached_property
    def bytes(self) -> int:
        """Of all contents, unpacked."""
        return sum(place.size for place in self.places.values())


def pack(contents: Iterable[tuple[str, bytes]]) -> bytes:
    """A pack of these contents by name; what is alike should stand side by side."""
    out, blocks, places = bytearray(MAGIC), list[tuple[int, int]](), list[tuple[str, int, int, int, str]]()
    compress = zstandard.ZstdCompressor(LEVEL).compress
    held = bytearray()

    def close() -> None:
        block = compress(bytes(held))
        blocks.append((len(out), len(block)))
        out.extend(block)
        held.clear()

    for name, content in contents:
        if held and len(held) + len(content) > BLOCK:
            close()
        places.append((name, len(blocks), len(held), len(content), sha256(content).hexdigest()))
        held += content
    if held or places:
        close()
    index = compress(json.dumps({"blocks": blocks, "places": places}, separators=(",", ":")).encode())
    end = _END.pack(len(out), len(index), sha256(index).digest(), MAGIC)
    return bytes(out) + index + end


Part = Callable[[int, int], bytes]  # the bytes of the pack's file from the first to before the second


def read_index(part: Part, size: int) -> Index:
    """The index of a pack whose file has that size. Raises Damaged."""
    if size < len(MAGIC) + _END.size:
        raise Damaged("it is cut short")
    at, length, digest, magic = _END.unpack(part(size - _END.size, size))
    if magic != MAGIC or at + length + _END.size != size:
        raise Damaged("it is cut short, or is no pack")
    packed = part(at, at + length)
    if sha256(packed).digest() != digest:
        raise Damaged("its index was changed")
    told = json.loads(_unpacked(packed))
    places = {name: Place(*place) for name, *place in told["places"]}
    return Index(tuple((offset, length) for offset, length in told["blocks"]), places)


def read_block(part: Part, index: Index, number: int) -> bytes:
    """Raises Damaged."""
    at, length = index.blocks[number]
    return _unpacked(part(at, at + length))


def content(block: bytes, place: Place) -> bytes:
    """One content of its block. Raises Damaged when it does not have its hash."""
    found = block[place.start : place.start + place.size]
    if sha256(found).hexdigest() != place.digest:
        raise Damaged("a content of it was changed")
    return found


def contents(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """All contents of a whole pack in its order, each checked. Raises Damaged."""

    def part(start: int, end: int) -> bytes:
        return packed[start:end]

    index = read_index(part, len(packed))
    number, block = -1, b""
    for name, place in index.places.items():
        if place.block != number:
            number, block = place.block, read_block(part, index, place.block)
        yield name, content(block, place)


def _unpacked(frame: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(frame, max_output_size=LONGEST)
    except zstandard.ZstdError as error:
        raise Damaged(f"a block cannot be unpacked ({error})") from error
