"""The currencies that prices are told in.

Rates of fiat money and metals stand still (round numbers, not quotes of any day), those of coins
follow the simulated market. `usdt` is no currency here, as upstream.
"""

from collections.abc import Mapping

from ray_app.simulator.truth import Quote, Truth

# code, name, unit, units for a USD
FIAT = (
    ("usd", "US Dollar", "$", 1.0), ("aed", "United Arab Emirates Dirham", "DH", 3.6725),
    ("ars", "Argentine Peso", "$", 1400.0), ("aud", "Australian Dollar", "A$", 1.4),
    ("bdt", "Bangladeshi Taka", "৳", 122.5), ("bhd", "Bahraini Dinar", "BD", 0.377),
    ("bmd", "Bermudian Dollar", "$", 1.0), ("brl", "Brazil Real", "R$", 5.05),
    ("cad", "Canadian Dollar", "CA$", 1.38), ("chf", "Swiss Franc", "Fr.", 0.785),
    ("clp", "Chilean Peso", "CLP$", 896.0), ("cny", "Chinese Yuan", "¥", 6.8),
    ("czk", "Czech Koruna", "Kč", 20.9), ("dkk", "Danish Krone", "kr.", 6.43),
    ("eur", "Euro", "€", 0.86), ("gbp", "British Pound Sterling", "£", 0.745),
    ("gel", "Georgian Lari", "₾", 2.66), ("hkd", "Hong Kong Dollar", "HK$", 7.835),
    ("huf", "Hungarian Forint", "Ft", 306.0), ("idr", "Indonesian Rupiah", "Rp", 17800.0),
    ("ils", "Israeli New Shekel", "₪", 2.84), ("inr", "Indian Rupee", "₹", 95.7),
    ("jpy", "Japanese Yen", "¥", 159.0), ("krw", "South Korean Won", "₩", 1507.0),
    ("kwd", "Kuwaiti Dinar", "KD", 0.3095), ("lkr", "Sri Lankan Rupee", "Rs", 325.0),
    ("mmk", "Burmese Kyat", "K", 2100.0), ("mxn", "Mexican Peso", "MX$", 17.3),
    ("myr", "Malaysian Ringgit", "RM", 3.965), ("ngn", "Nigerian Naira", "₦", 1373.0),
    ("nok", "Norwegian Krone", "kr", 9.275), ("nzd", "New Zealand Dollar", "NZ$", 1.9),
    ("php", "Philippine Peso", "₱", 61.6), ("pkr", "Pakistani Rupee", "₨", 278.5),
    ("pln", "Polish Zloty", "zł", 3.645), ("rub", "Russian Ruble", "₽", 72.0),
    ("sar", "Saudi Riyal", "SR", 3.74), ("sek", "Swedish Krona", "kr", 9.32),
    ("sgd", "Singapore Dollar", "S$", 1.278), ("thb", "Thai Baht", "฿", 32.6),
    ("try", "Turkish Lira", "₺", 45.9), ("twd", "New Taiwan Dollar", "NT$", 31.45),
    ("uah", "Ukrainian hryvnia", "₴", 44.3), ("vef", "Venezuelan bolívar fuerte", "Bs.F", 0.1),
    ("vnd", "Vietnamese đồng", "₫", 26340.0), ("zar", "South African Rand", "R", 16.4),
    ("xdr", "IMF Special Drawing Rights", "XDR", 0.7),
)  # fmt: skip
METALS = (("xag", "Silver - Troy Ounce", "XAG", 0.013), ("xau", "Gold - Troy Ounce", "XAU", 0.00022))
# Known to /exchange_rates only; no price can be asked in them.
RATES_ONLY = (("cop", "Colombian Peso", "$", 3680.0), ("kes", "Kenyan Shilling", "KSh", 129.5))
# code, name, unit, coin, USD for one where the market has no such coin
CRYPTO = (
    ("btc", "Bitcoin", "BTC", "bitcoin", 64000.0), ("eth", "Ether", "ETH", "ethereum", 3100.0),
    ("ltc", "Litecoin", "LTC", "litecoin", 80.0), ("bch", "Bitcoin Cash", "BCH", "bitcoin-cash", 400.0),
    ("bnb", "Binance Coin", "BNB", "binancecoin", 580.0), ("eos", "EOS", "EOS", "eos", 0.5),
    ("xrp", "XRP", "XRP", "ripple", 0.6), ("xlm", "Lumens", "XLM", "stellar", 0.11),
    ("link", "Chainlink", "LINK", "chainlink", 14.0), ("dot", "Polkadot", "DOT", "polkadot", 6.0),
    ("yfi", "Yearn.finance", "YFI", "yearn-finance", 6000.0), ("sol", "Solana", "SOL", "solana", 150.0),
)  # fmt: skip
PARTS = (("bits", "Bits", "μBTC", 1e6), ("sats", "Satoshi", "sats", 1e8))  # of a bitcoin


def quotes(truth: Truth) -> Mapping[str, Quote]:
    """Every currency that a price can be asked in, by code."""
    found: dict[str, Quote] = {}
    for code, _, _, coin, usd in CRYPTO:
        at = truth.index.get(coin)
        found[code] = Quote(code, 1 / usd) if at is None else Quote(code, 1.0, at)
    for code, _, _, rate in (*FIAT, *METALS):
        found[code] = Quote(code, rate)
    bitcoin = found["btc"]
    for code, _, _, parts in PARTS:
        found[code] = Quote(code, bitcoin.rate * parts, bitcoin.coin)
    return found
