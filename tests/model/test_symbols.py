import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ray_app.model.symbols import (
    CURRENCIES,
    AmbiguousSymbol,
    Asset,
    Former,
    Listing,
    Registry,
    UnknownSymbol,
    load_registry,
)

# The tickers that clients of the service have always asked for, and the coin that each means today.
CLIENTS = {
    "BTC": "bitcoin", "ETH": "ethereum", "ADA": "cardano", "SOL": "solana", "DOT": "polkadot",
    "LINK": "chainlink", "DOGE": "dogecoin", "XRP": "ripple", "UNI": "uniswap", "AAVE": "aave",
    "ALGO": "algorand", "APT": "aptos", "ARB": "arbitrum", "ATOM": "cosmos", "AVAX": "avalanche-2",
    "BNB": "binancecoin", "COMP": "compound-governance-token", "CRV": "curve-dao-token", "FIL": "filecoin",
    "ICP": "internet-computer", "LTC": "litecoin", "MATIC": "polygon-ecosystem-token", "NEAR": "near",
    "OP": "optimism", "SHIB": "shiba-inu", "SUSHI": "sushi", "YFI": "yearn-finance", "ZEC": "zcash",
    "BCH": "bitcoin-cash", "TRX": "tron", "MKR": "maker", "BAL": "balancer", "SNX": "havven",
    "DASH": "dash", "EOS": "vaulta", "XLM": "stellar", "XTZ": "tezos", "VET": "vechain", "XMR": "monero",
}  # fmt: skip
REGISTRY = load_registry()


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def coin(
    id_: str,
    symbol: str,
    former: tuple[Former, ...] = (),
    tracked_from: datetime | None = None,
    tracked_to: datetime | None = None,
) -> Asset:
    return Asset(
        id=id_,
        symbol=symbol,
        name=symbol.title(),
        tracked_from=tracked_from,
        tracked_to=tracked_to,
        listings=(Listing("coingecko", id_),),
        former=former,
    )


@pytest.mark.parametrize(("ticker", "id_"), CLIENTS.items())
def test_every_ticker_that_clients_know_resolves(ticker: str, id_: str) -> None:
    assert {REGISTRY.resolve(text).id for text in (ticker, ticker.lower(), id_, f"{ticker}-USD")} == {id_}


def test_at_least_55_coins_are_tracked_each_under_a_ticker_of_its_own() -> None:
    tracked = REGISTRY.tracked()
    assert len(tracked) >= 55
    assert {REGISTRY.resolve(asset.symbol).id for asset in tracked} == {asset.id for asset in tracked}
    assert {asset.ids["coingecko"] for asset in tracked} == {asset.id for asset in tracked}


@pytest.mark.parametrize("text", ["BTC-USD", "btc-usd", "BTC/EUR", "btc_eth", "BTC-BTC", " btc ", "Bitcoin"])
def test_a_pair_means_its_base(text: str) -> None:
    assert REGISTRY.resolve(text).id == "bitcoin"


@pytest.mark.parametrize(
    "text",
    [
        "BTC-USDT",
        "BTCUSDT",
        "BTC-",
        "-USD",
        "USD",
        "BTC-USD-EUR",
        "BTC USD",
        "",
        "-",
        "\ud800",
        "BTC\x00",
        "$BTC",
        "ripple-usd",  # RLUSD, a coin of its own: an id is no base
        "aave-link",  # aLINK
        "eos-btc",  # eBTC
        "\u017f",  # the case of these turns into S, K and I
        "\u212aas",
        "BTC-\u017fek",
        "\u0131cp",
    ],
)
def test_what_looks_like_a_coin_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(UnknownSymbol) as e:
        REGISTRY.resolve(text)
    assert e.value.text == text
    assert len(set(e.value.nearest)) == 3


def test_aave_link_is_a_pair_where_it_is_written_as_one() -> None:
    assert {REGISTRY.resolve(text).id for text in ("AAVE-LINK", "aave/link", "Aave-Link")} == {"aave"}


@pytest.mark.parametrize(
    ("text", "nearest"), [("BTCC", "BTC"), ("ethreum", "ETH"), ("AVAXX-USD", "AVAX"), ("Solanna", "SOL")]
)
def test_unknown_names_the_nearest_tracked_symbols(text: str, nearest: str) -> None:
    with pytest.raises(UnknownSymbol) as e:
        REGISTRY.resolve(text)
    assert e.value.nearest[0] == nearest
    assert set(e.value.nearest) <= {asset.symbol for asset in REGISTRY.tracked()}


@pytest.mark.parametrize(
    ("old", "new", "id_", "until"),
    [
        ("MATIC", "POL", "polygon-ecosystem-token", "2024-09-04"),
        ("FTM", "S", "sonic-3", "2025-01-16"),
        ("EOS", "A", "vaulta", "2025-05-28"),
        ("RNDR", "RENDER", "render-token", "2024-07-26"),
    ],
)
def test_a_renamed_coin_answers_to_both_names_at_any_time(old: str, new: str, id_: str, until: str) -> None:
    moments = (None, day("2021-01-01"), day(until) - timedelta(seconds=1), day(until), day("2026-01-01"))
    assert {REGISTRY.resolve(text, at).id for text in (old, new) for at in moments} == {id_}
    asset = REGISTRY.resolve(new)
    assert [asset.symbol_at(at) for at in moments] == [new, old, old, new, new]


def test_a_former_coingecko_id_leads_to_the_coin() -> None:
    renamed = {"matic-network": "polygon-ecosystem-token", "fantom": "sonic-3", "eos": "vaulta"}
    assert {id_: REGISTRY.resolve(id_).id for id_ in renamed} == renamed


def test_luna_means_another_coin_since_the_collapse() -> None:
    last, first = day("2022-05-28") - timedelta(seconds=1), day("2022-05-28")
    assert REGISTRY.resolve("LUNA", day("2021-06-01")).id == "terra-luna"
    assert REGISTRY.resolve("LUNA", last).id == "terra-luna"
    assert REGISTRY.resolve("LUNA", first).id == "terra-luna-2"
    assert REGISTRY.resolve("LUNA").id == "terra-luna-2"
    assert REGISTRY.resolve("LUNC").id == "terra-luna"
    assert REGISTRY.resolve("terra-luna", first).id == "terra-luna"


def test_a_redenomination_is_no_rename() -> None:
    """24,000 SKY replaced one MKR: the price of one served for the other would be off by as much."""
    assert REGISTRY.resolve("MKR").id == "maker"
    assert REGISTRY.resolve("SKY").id == "sky"
    assert REGISTRY.resolve("MKR").former == REGISTRY.resolve("SKY").former == ()


@pytest.mark.parametrize(
    ("id_", "ended"), [("terra-luna", "2022-05-28"), ("ftx-token", "2022-11-15"), ("maker", "2025-09-22")]
)
def test_a_dead_coin_is_known_and_no_longer_tracked(id_: str, ended: str) -> None:
    asset = REGISTRY.resolve(id_)
    last = day(ended) - timedelta(seconds=1)
    assert [asset in REGISTRY.tracked(at) for at in (None, last, day(ended))] == [False, True, False]
    with pytest.raises(UnknownSymbol) as e:
        REGISTRY.resolve(asset.symbol + "Q")
    assert asset.symbol not in e.value.nearest


def test_a_coin_is_not_tracked_before_it_existed() -> None:
    luna = REGISTRY.resolve("terra-luna-2")
    times = (day("2022-05-28") - timedelta(seconds=1), day("2022-05-28"), None)
    assert [luna in REGISTRY.tracked(at) for at in times] == [False, True, True]


@pytest.mark.parametrize(
    ("venue", "id_", "at", "asset"),
    [
        ("binance", "BTCUSDT", None, "bitcoin"),
        ("coinbase", "BTC-USD", None, "bitcoin"),
        ("kraken", "XBTUSD", None, "bitcoin"),
        ("kraken", "XDGUSD", None, "dogecoin"),
        ("binance", "LUNAUSDT", "2021-06-01", "terra-luna"),
        ("binance", "LUNAUSDT", "2022-05-20", None),
        ("binance", "LUNAUSDT", "2022-06-01", "terra-luna-2"),
        ("binance", "LUNAUSDT", None, "terra-luna-2"),
        ("kraken", "LUNAUSD", None, "terra-luna"),  # Kraken kept LUNA for the old coin
        ("kraken", "LUNA2USD", None, "terra-luna-2"),
        ("binance", "MATICUSDT", None, "polygon-ecosystem-token"),
        ("binance", "MATICUSDT", "2024-09-10", "polygon-ecosystem-token"),
        ("binance", "MATICUSDT", "2024-09-11", None),
        ("binance", "POLUSDT", "2024-09-13", None),
        ("binance", "POLUSDT", "2024-09-14", "polygon-ecosystem-token"),
        ("coingecko", "matic-network", "2024-09-03", "polygon-ecosystem-token"),
        ("coingecko", "matic-network", "2024-09-04", None),
        ("binance", "XMRUSDT", "2024-02-20", "monero"),
        ("binance", "XMRUSDT", "2024-02-21", None),
        ("binance", "FTTUSDT", "2022-11-16", None),
        ("binance", "btcusdt", None, None),
        ("nowhere", "BTCUSDT", None, None),
    ],
)
def test_a_venue_id_means_what_it_meant_at_the_time(
    venue: str, id_: str, at: str | None, asset: str | None
) -> None:
    found = REGISTRY.by_venue(venue, id_, day(at) if at else None)
    assert (found and found.id) == asset


def test_two_tracked_coins_of_one_ticker_are_ambiguous() -> None:
    registry = Registry([coin("one", "TWIN"), coin("two", "TWIN"), coin("three", "OTHER")])
    with pytest.raises(AmbiguousSymbol) as e:
        registry.resolve("twin-usd")
    assert (e.value.text, e.value.candidates) == ("twin-usd", ("one", "two"))
    assert registry.resolve("two").id == "two"


def test_an_id_that_is_also_the_ticker_of_another_coin_is_ambiguous() -> None:
    registry = Registry([coin("link", "FNSA"), coin("chainlink", "LINK")])
    with pytest.raises(AmbiguousSymbol) as e:
        registry.resolve("LINK")
    assert e.value.candidates == ("link", "chainlink")


def test_the_tracked_coin_goes_before_one_that_is_not() -> None:
    ended = coin("old", "SAME", tracked_to=day("2022-01-01"))
    young = coin("young", "SAME", tracked_from=day("2023-01-01"))
    registry = Registry([ended, young])
    assert registry.resolve("SAME") == young
    assert registry.resolve("SAME", day("2021-01-01")) == ended
    assert registry.resolve("SAME", day("2024-01-01")) == young


def test_a_bearer_goes_before_one_who_gave_the_ticker_up() -> None:
    renamed = coin("renamed", "NEW", former=(Former("OLD", day("2024-01-01")),))
    heir = coin("heir", "OLD", tracked_from=day("2024-06-01"))
    registry = Registry([renamed, heir])
    assert registry.resolve("OLD", day("2023-01-01")) == renamed
    assert registry.resolve("OLD", day("2025-01-01")) == heir
    assert registry.resolve("OLD") == heir


@pytest.mark.parametrize(
    "error", [UnknownSymbol("BTX", ("BTC", "TRX", "BNB")), AmbiguousSymbol("TWIN", ("one", "two"))]
)
def test_errors_keep_type_and_fields_in_a_pickle(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (copy.__dict__, copy.args, str(copy)) == (error.__dict__, error.args, str(error))


def test_a_registry_survives_a_pickle() -> None:
    assert REGISTRY.resolve("BTC").ids["kraken"] == "XBTUSD"
    copy = pickle.loads(pickle.dumps(REGISTRY))
    assert copy.assets == REGISTRY.assets
    assert hash(copy.assets) == hash(REGISTRY.assets)
    assert copy.by_venue("kraken", "XBTUSD").id == "bitcoin"


def test_currencies_are_codes_each_once() -> None:
    assert len(CURRENCIES) == len(set(CURRENCIES))
    assert {"usd", "eur", "gbp", "jpy", "btc", "eth", "sol", "zar", "xau"} <= set(CURRENCIES)
    assert "usdt" not in CURRENCIES
    assert [code for code in CURRENCIES if code != code.lower()] == []


NAMES = sorted({word for asset in REGISTRY.assets for word in (asset.id, asset.name, *asset.ever())})
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="abcdefghijklmnoprstuxyABCDEOSTX-/_ \u017f\u212a\u0131", max_size=6),
    st.sampled_from(NAMES),
    st.builds(
        "".join, st.tuples(st.sampled_from(NAMES), st.sampled_from("-/_ "), st.sampled_from(CURRENCIES))
    ),
)
TIMES = st.none() | st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them naive


@given(text=TEXTS, at=TIMES)
@example(text="\u017f", at=None)
@example(text="\u212aas", at=None)
def test_an_asset_is_called_as_was_asked_or_nothing_is_found(text: str, at: datetime | None) -> None:
    try:
        asset = REGISTRY.resolve(text, at)
    except UnknownSymbol as unknown:
        said = (unknown.text, len(set(unknown.nearest)))
    else:
        said = (text, 3)
        ids = {listing.id for listing in asset.listings if listing.venue == "coingecko"}
        names = {asset.id, *ids, *(ticker.lower() for ticker in asset.ever())}
        asked = text.strip()
        bases = [
            asked[: -len(code) - 1] for code in CURRENCIES if asked[-len(code) - 1 :].lower()[1:] == code
        ]
        assert asked.isascii()
        assert names & {asked.lower(), *(base.lower() for base in bases)}
    assert said == (text, 3)
