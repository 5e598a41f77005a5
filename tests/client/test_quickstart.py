"""The blocks of docs/quickstart.md run against a node, and tell what the text beside them says."""

import asyncio
import json
import re
from pathlib import Path

from tests.client.test_examples import environment, outside  # noqa: F401  # one is a fixture

DOCUMENT = Path(__file__).parents[2] / "docs/quickstart.md"
RUN = re.compile(r"<!-- run: (\w+) -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = dict(RUN.findall(DOCUMENT.read_text()))


async def test_each_block_does_what_is_said(environment):  # noqa: F811  # the fixture
    said = {
        name: await asyncio.to_thread(outside, ["bash", "-c"], block, environment)
        for name, block in BLOCKS.items()
    }
    again = await asyncio.to_thread(outside, ["bash", "-c"], BLOCKS["as_of"], environment)
    price, then, lineage, gaps = (json.loads(said[name]) for name in ("price", "as_of", "lineage", "gaps"))
    assert price["current_price"]["usd"] == 139.25
    assert price["meta"].keys() >= {"condition", "reasons", "age_seconds", "simulated", "as_of"}
    assert then["data"][-1]["close"] == 150.25  # of the hour that was over at that moment
    assert json.loads(again)["data"] == then["data"]
    assert (lineage["record_id"], lineage["status"]) == (price["record_id"], 200)
    assert lineage["request"]["path"] == "/coins/markets"
    assert len(lineage["sha256"]) == 64
    assert gaps["data"]
    assert all(one["reason"] for one in gaps["data"] if one["state"] in ("late", "failed", "lost"))
    told = [json.loads(line[6:]) for line in said["stream"].splitlines() if line.startswith("data: ")]
    assert [one["type"] for one in told[:2]] == ["ack", "snapshot"]
