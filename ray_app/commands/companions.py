"""What a laptop's node needs beside Ray: free ports, the simulator if asked, a Valkey."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from ray_app.settings import PREFIX, Settings

Say = Callable[[str], None]


class CannotStart(Exception):
    """Something outside is in the way; the text says what to do."""


def need_port(name: str, host: str, port: int) -> None:
    """Raise CannotStart when somebody listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            setting = PREFIX + name.upper()
            raise CannotStart(
                f"{host}:{port} cannot be used ({error.strerror}): stop what listens there or set {setting}"
            ) from None


@contextlib.contextmanager
def simulator(settings: Settings, arguments: list[str], say: Say) -> Iterator[str]:
    """The built-in simulator as a process of its own; its address."""
    say("starting the simulator of the upstreams")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    port_file = settings.data_dir / f"simulator-{os.getpid()}.port"
    command = [
        sys.executable,
        "-m",
        "ray_app.simulator",
        "--port",
        "0",
        "--port-file",
        str(port_file),
        *arguments,
    ]
    process = None
    try:
        with (settings.data_dir / "simulator.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  # our own simulator
                command, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 30
        while not (port_file.exists() and port_file.read_text().strip()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"the simulator did not start; see {settings.data_dir / 'simulator.log'}")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        port_file.unlink(missing_ok=True)
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def valkey(settings: Settings, say: Say) -> Iterator[str]:
    """The hot side: the address in the settings, or an embedded Valkey."""
    if settings.redis_url:
        yield settings.redis_url
        return
    from ray_app.store.embedded import EmbeddedValkey

    say("starting Valkey")
    server = EmbeddedValkey(settings.data_dir / "valkey")
    try:  # a start that is interrupted may have begun a process
        yield server.start()
    finally:
        server.stop()
