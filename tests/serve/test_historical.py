from datetime import timedelta
from tests.serve.conftest import Running, at
from tests.serve.filling import flat, ohlc, START, HOUR


async def test_x(node: Running):
    first = START - 24 * HOUR
    await node.fill.bars("bitcoin", first, [ohlc(i) if i != 7 else None for i in range(24)], at(minutes=17))
    node.clock.set(at(hours=1))
    import json
    for q in ({"interval":"4h","days":1},{"interval":"1d","days":1},{"interval":"1h","days":1,"limit":2}):
        b = await node.get("/api/v1/prices/historical/BTC", **q)
        print(json.dumps(b, indent=None))
