"""CoinGecko v3 as its documents and recordings describe it: `/cg-pro/api/v3` and `/cg-public/api/v3`."""
