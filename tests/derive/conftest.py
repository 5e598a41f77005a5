import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ray_app.store.store import Store
from tests.derive.market import Market


@pytest.fixture
async def market(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Market]:
    """An empty store of simulated data, and a lease to fill it under."""
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'node.db'}", str(tmp_path / "raw"))
    lease = await store.leases.acquire("tests", "tests")
    assert lease is not None
    yield Market(store, lease)
    await store.close()
