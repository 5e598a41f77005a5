"""Server-sent events out of bytes, however they are cut."""

from collections.abc import Iterator
from dataclasses import dataclass

LARGEST = 32 << 20  # bytes of one event


class TooLong(ValueError):
    """An event that does not end."""


@dataclass(frozen=True, slots=True)
class Said:
    """One event. `retry`: milliseconds after which to come back. What was not said is None."""

    data: str | None = None
    id: str | None = None
    retry: int | None = None


class Parser:
    """Feed it what was read; what is not an event yet waits for the rest."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._id: str | None = None
        self._retry: int | None = None

    def feed(self, chunk: bytes) -> Iterator[Said]:
        """The events that end in it. Raises TooLong, UnicodeDecodeError."""
        # A \r at the end may be half of a \r\n: it waits for what follows.
        whole = self._rest + chunk
        held = b"\r" if whole.endswith(b"\r") else b""
        *lines, rest = (
            whole[: len(whole) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        )
        self._rest = rest + held
        if len(self._rest) + self._size > LARGEST:
            raise TooLong
        for line in lines:
            if (said := self._line(line)) is not None:
                yield said

    def _line(self, line: bytes) -> Said | None:
        if not line:
            data = b"\n".join(self._data).decode() if self._data else None
            said = Said(data, self._id, self._retry)
            self._data, self._size, self._id, self._retry = [], 0, None, None
            return None if said == Said() else said
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"id":
            self._id = value.decode()
        elif name == b"retry" and value.isdigit():
            self._retry = int(value[:9])
        return None
