"""A backup's files under a key: AES-256-GCM over pieces of a megabyte, each bound to its place and to its file's kind.

    magic | salt | piece | piece | ... | last piece

Each file has a key of its own, from the salt. A piece that is changed, left out, moved or taken from another kind of
file is refused, and so is a file without its last piece.
"""

import hmac
import os
import re
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"CDSEAL1\n"
SALT = 16
PIECE = 2**20
TAG = 16
KEY = re.compile(r"[0-9a-fA-F]{64}")


class Unsealable(ValueError):
    """Another key, a changed byte, or an end that is missing."""


class Seal:
    """What a key of 64 hexadecimal digits can do; without a key nothing is sealed. Raises ValueError for other keys."""

    def __init__(self, key: str | None) -> None:
        if key is not None and not KEY.fullmatch(key):
            raise ValueError(
                "CRYPTO_DATA_BACKUP_KEY: a key has 64 hexadecimal digits, as `openssl rand -hex 32` prints them"
            )
        self._key = bytes.fromhex(key) if key is not None else None

    def __bool__(self) -> bool:
        return self._key is not None

    def name(self, content: bytes) -> str:
        """The name of a content: under a key it tells nothing to whoever lacks it."""
        if self._key is None:
            return sha256(content).hexdigest()
        return hmac.digest(self._derived(b"", b"names"), content, "sha256").hex()

    def close(self, content: bytes, kind: str) -> bytes:
        """The content as it is written."""
        if self._key is None:
            return content
        salt = os.urandom(SALT)
        cipher = AESGCM(self._derived(salt, kind.encode()))
        out = bytearray(MAGIC + salt)
        for number in range(max(1, -(-len(content) // PIECE))):
            at = number * PIECE
            out += cipher.encrypt(_nonce(number, at + PIECE >= len(content)), content[at : at + PIECE], None)
        return bytes(out)

    def open(self, sealed: bytes, kind: str) -> bytes:
        """What was closed. Raises Unsealable."""
        if self._key is None:
            return sealed
        start = len(MAGIC) + SALT
        if sealed[: len(MAGIC)] != MAGIC or len(sealed) < start + TAG:
            raise Unsealable("it is not sealed, or cut short")
        cipher = AESGCM(self._derived(sealed[len(MAGIC) : start], kind.encode()))
        out = bytearray()
        for number, at in enumerate(range(start, len(sealed), PIECE + TAG)):
            end = min(at + PIECE + TAG, len(sealed))
            try:
                out += cipher.decrypt(_nonce(number, end == len(sealed)), sealed[at:end], None)
            except InvalidTag as error:
                raise Unsealable("it was sealed with another key, cut short, or changed") from error
        return bytes(out)

    def _derived(self, salt: bytes, kind: bytes) -> bytes:
        assert self._key is not None
        return HKDF(SHA256(), 32, salt or None, b"crypto-data backup: " + kind).derive(self._key)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
