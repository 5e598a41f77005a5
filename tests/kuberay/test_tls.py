"""TLS to MySQL and Redis, as docs/deploy.md says to configure it: the authority's certificate in the address."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from ray_app.model.errors import StoreUnavailable
from ray_app.store.engine import Database
from ray_app.store.hot import redis_client
from tests.server_process import free_port
from tests.servers import MariaDB, Redis


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.crt, server.crt for 127.0.0.1 with its key, and other.crt, an authority that signed nothing."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")  # fmt: skip
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key",
            "-keyout", folder / "server.key", "-out", folder / "server.crt")  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def mysql(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a user who must come by TLS."""
    files = [
        f"--ssl-{name}={certificates / file}"
        for name, file in (("ca", "ca.crt"), ("cert", "server.crt"), ("key", "server.key"))
    ]
    server = MariaDB(tmp_path_factory.mktemp("mariadb"), *files)
    try:
        server.execute("CREATE USER 'tls'@'127.0.0.1' IDENTIFIED BY 'secret' REQUIRE SSL", "CREATE DATABASE tried",
                       "GRANT ALL ON tried.* TO 'tls'@'127.0.0.1'")  # fmt: skip
        yield f"mysql+asyncmy://tls:secret@127.0.0.1:{urlsplit(server.base).port}/tried"
    finally:
        server.close()


async def test_mysql_over_tls(mysql: str, certificates: Path):
    database = Database(f"{mysql}?ssl_ca={certificates / 'ca.crt'}")
    try:
        async with database.read() as connection:
            cipher = (await connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'"))).one()[1]
    finally:
        await database.close()
    assert cipher


@pytest.mark.parametrize(("query", "why"), [("", "denied"), ("?ssl_ca={other}", "certificate")])
async def test_mysql_without_tls_or_with_another_authority(
    mysql: str, certificates: Path, query: str, why: str
):
    database = Database(mysql + query.format(other=certificates / "other.crt"))
    try:
        with pytest.raises(StoreUnavailable, match=why):
            async with database.read():
                pass
    finally:
        await database.close()


async def test_redis_over_tls(certificates: Path, tmp_path: Path):
    port = free_port()
    files = {"tls-cert-file": "server.crt", "tls-key-file": "server.key", "tls-ca-cert-file": "ca.crt"}
    options: dict[str, Any] = {name: certificates / file for name, file in files.items()}
    options |= {"tls-port": port, "tls-auth-clients": "no"}
    server = Redis(tmp_path, **options)
    try:
        password = urlsplit(server.base).password
        address = f"rediss://:{password}@127.0.0.1:{port}/1?ssl_ca_certs="
        good, bad = (redis_client(f"{address}{certificates / name}.crt") for name in ("ca", "other"))
        assert await good.ping()
        with pytest.raises(Exception, match="certificate verify failed"):
            await bad.ping()
        await good.aclose()
        await bad.aclose()
    finally:
        server.close()
