"""Everything that a started program becomes: its children, and those that daemonised away from it.

A process belongs to the tree when it inherited the tag in its environment, when its parent belongs, or when
its session was opened by one that belongs: programs that set their title may overwrite their environment,
and a daemon's parent is gone. So the tree is looked at again and again while it grows.
"""

import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TAG = "BENCH_TREE"
LOOK = 0.2  # seconds between looks


@dataclass(frozen=True, slots=True)
class Seen:
    """One process; `started` (clock ticks since boot) tells it from a later one with its number."""

    pid: int
    started: int
    parent: int
    session: int
    state: str


def seen(pid: int) -> Seen | None:
    """What the kernel says of a process; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    rest = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return Seen(pid, int(rest[19]), int(rest[1]), int(rest[3]), rest[0])


class Spent:
    """Processor time of this process and of all below it, also of those that end meanwhile, up to one look."""

    def __enter__(self) -> "Spent":
        self._ended = threading.Event()
        self._before = worked(os.getpid())
        self._last = dict(self._before)
        self._looking = threading.Thread(target=self._look)
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._looking.join()

    @property
    def seconds(self) -> float:
        return sum(after - self._before.get(place, 0.0) for place, after in self._last.items())

    def _look(self) -> None:
        while not self._ended.wait(LOOK):
            self._last |= worked(os.getpid())
        self._last |= worked(os.getpid())


def worked(root: int) -> dict[tuple[int, int], float]:
    """Seconds that a process and each of those below it have worked, by number and start."""
    found: dict[int, tuple[int, int, float]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            rest = (folder / "stat").read_text().rpartition(")")[2].split()
            ticks = (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")
            found[int(folder.name)] = int(rest[1]), int(rest[19]), ticks
    below = more = {root}
    while more:
        more = {pid for pid, (parent, _, _) in found.items() if parent in below} - below
        below |= more
    return {(pid, found[pid][1]): found[pid][2] for pid in below if pid in found}


def name(pid: int) -> str:
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode("utf-8", "replace")[:120]
            .strip()
        )
    return ""


def pss(pid: int) -> int:
    """Bytes, shared pages divided among those that share them; 0 when the process is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


class Tree:
    """A program and all that came of it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._tag = f"{TAG}={secrets.token_hex(8)}".encode()
        tagged = {**environment, TAG: self._tag.decode().partition("=")[2]}
        self._log = (folder / "stderr.log").open("wb")
        self.root = subprocess.Popen(
            command,
            env=tagged,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        first = seen(self.root.pid)
        assert first is not None
        self._members: dict[int, Seen] = {self.root.pid: first}
        self._sessions = {self.root.pid}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()

    def _look(self) -> None:
        while not self._stop.wait(LOOK):
            self.look()

    def look(self) -> list[Seen]:
        """Find new members; all that live now, zombies left out."""
        everyone = [p for entry in os.listdir("/proc") if entry.isdigit() and (p := seen(int(entry)))]
        with self._lock:
            grew = True
            while grew:
                grew = False
                for process in everyone:
                    if process.pid not in self._members and self._belongs(process):
                        self._members[process.pid] = process
                        if process.session == process.pid:
                            self._sessions.add(process.pid)
                        grew = True
            now = {p.pid: p for p in everyone}
            return [
                now[pid]
                for pid, member in self._members.items()
                if pid in now and now[pid].started == member.started and now[pid].state != "Z"
            ]

    def _belongs(self, process: Seen) -> bool:
        if process.parent in self._members or process.session in self._sessions:
            return True
        try:
            return self._tag in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def pss(self) -> int:
        """Bytes of all members."""
        return sum(pss(member.pid) for member in self.look())

    def stop(self, within: float = 60.0, after: float = 3.0) -> list[str]:
        """Ask the program to end; the commands of what still lives `after` seconds later, which is killed."""
        self.look()
        self.root.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self.root.wait(within)
        deadline = time.monotonic() + after
        while (left := self.look()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self._stop.set()
        self._looking.join()
        names = [f"{member.pid} {name(member.pid)}" for member in left]
        for member in left:
            with suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
        if self.root.poll() is None:
            self.root.wait(10)
        self._log.close()
        return names
