from tests.serve.conftest import Running, at
from datetime import timedelta


async def test_the_price_of_the_coin_that_was_asked_for(node: Running):
    await node.fill.prices(at(), {"bitcoin": "64210.123456789012345678", "ethereum": "1e-12", "solana": "0"} | {"solana": "150"})
    node.clock.set(at(minutes=1))
    for name in ("bitcoin", "BTC", "btc", "BTC-USD", "btc-usd"):
        body = await node.get(f"/api/v1/prices/current/{name}")
        print(body)
        assert (body["symbol"], body["id"]) == ("BTC", "bitcoin")
