"""A server as a child of the test run: started, stopped or killed on purpose, and never left behind."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

START_SECONDS = 60
STOP_SECONDS = 30
LOWEST_PORT, HIGHEST_PORT = 20000, 32000

handed_out: set[int] = set()


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def missing(what: str) -> NoReturn:
    """Skip the test, loudly; in CI fail it, for there every check is required."""
    if in_ci():
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on and that no outgoing connection will be given."""
    first = LOWEST_PORT + os.getpid() * 7 % (HIGHEST_PORT - LOWEST_PORT)
    for port in (*range(first, HIGHEST_PORT), *range(LOWEST_PORT, first)):
        if port not in handed_out:
            with socket.socket() as probe, suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                handed_out.add(port)
                return port
    raise OSError(f"no free port between {LOWEST_PORT} and {HIGHEST_PORT}")


def program(*names: str) -> str:
    """The first of these programs that is installed, or skip (in CI: fail)."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/usr/libexec"
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    missing(f"{names[0]} is not installed: run `make servers`")


class Process:
    """One server process. `answers` returns once the server serves, and raises until then."""

    def __init__(self, name: str, command: list[str], log: Path, answers: Callable[[], object]) -> None:
        self.name, self.command, self.log, self.answers = name, command, log, answers
        self.child: subprocess.Popen[bytes] | None = None
        self.guard: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child and self.child.poll() is None else None

    def start(self) -> None:
        """Start and wait until it answers; nothing if it runs. RuntimeError with its log if it does not."""
        if self.pid:
            return
        self.kill()
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches the test run, which then stops the server in order.
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        # The guard's input ends when this run does, even by SIGKILL: then it takes the server along.
        self.guard = subprocess.Popen(
            ["sh", "-c", f"read -r _; kill -KILL {self.child.pid}"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.answers()
                break
            except Exception as error:
                if not self.pid or time.monotonic() > deadline:
                    self.kill()
                    tail = self.log.read_text(errors="replace")[-3000:]
                    raise RuntimeError(f"{self.name} does not answer; its log ends:\n{tail}") from error
                time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end and wait until it has; nothing if it is down. RuntimeError if it had to be killed."""
        if not self.child:
            return
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.name} did not end within {STOP_SECONDS} s of SIGTERM") from None
        self.forget()

    def kill(self) -> None:
        """End it at once, as a crash or a loss of power of its machine would."""
        if self.child:
            self.child.kill()
            self.child.wait()
            self.forget()

    def forget(self) -> None:
        """Its number may soon be somebody else's, so the guard goes too."""
        if self.guard:
            self.guard.kill()
            self.guard.communicate()
        self.child = self.guard = None
