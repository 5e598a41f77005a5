from tests.serve.conftest import Running, at
async def test_one(node: Running, client):
    await node.fill.prices(at(minutes=5), {"bitcoin": "100.123456789012345678", "ethereum": "2"})
    node.clock.set(at(minutes=6))
    print(await client.prices.current("BTC"))
    print((await client.prices.many(["BTC","ETH"])).to_polars())
    print(await client.catalog.symbols.frame())
