import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ray_app.model.symbols import Asset, Former, Listing, UnknownSymbol, load_registry

REGISTRY = load_registry()


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def written(folder: Path, *lines: str) -> Path:
    file = folder / "mine.csv"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def test_ids_are_those_in_use() -> None:
    assert REGISTRY.resolve("POL").ids == {
        "coingecko": "polygon-ecosystem-token",
        "binance": "POLUSDT",
        "coinbase": "POL-USD",
        "kraken": "POLUSD",
    }
    assert REGISTRY.resolve("XMR").ids == {"coingecko": "monero", "kraken": "XMRUSD"}
    assert REGISTRY.resolve("FTT").ids == {"coingecko": "ftx-token"}


def test_venue_ids_are_unique_at_every_time() -> None:
    listings = [(listing, asset.id) for asset in REGISTRY.assets for listing in asset.listings]
    ends = {moment for listing, _ in listings for moment in (listing.start, listing.end) if moment}
    for moment in {day("2013-01-01"), *ends, *(end - timedelta(microseconds=1) for end in ends)}:
        alive = [(listing, owner) for listing, owner in listings if listing.at(moment)]
        assert len({(listing.venue, listing.id) for listing, _ in alive}) == len(alive)
        assert len({(listing.venue, owner) for listing, owner in alive}) == len(alive)


def test_venue_ids_are_spelled_as_the_venue_does() -> None:
    for asset in REGISTRY.assets:
        tickers = asset.ever() | {"XBT", "XDG", "LUNA", "LUNA2"}
        spelled = {
            "coingecko": {listing.id for listing in asset.listings},
            "binance": {f"{ticker}USDT" for ticker in asset.ever()},
            "coinbase": {f"{ticker}-USD" for ticker in asset.ever()},
            "kraken": {f"{ticker}USD" for ticker in tickers},
        }
        assert {listing.id for listing in asset.listings if listing.id not in spelled[listing.venue]} == set()


def test_the_packaged_data_is_read_once() -> None:
    assert load_registry() is REGISTRY


def test_adding_a_coin_is_a_line_of_data(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "# mine",
        "id,symbol,name,former,tracked_from,binance",
        "",
        'flow,FLOW,"Flow, the chain",,2021-01-27,FLOWUSDT',
        "old-and-new,NOW,Now,THEN[..2020-01-01] LATER[..2021-01-01T12:30+01:00],,",
    )
    registry = load_registry(file)
    assert registry.assets[: len(REGISTRY.assets)] == REGISTRY.assets
    flow, now = registry.assets[len(REGISTRY.assets) :]
    assert flow == Asset(
        id="flow",
        symbol="FLOW",
        name="Flow, the chain",
        tracked_from=day("2021-01-27"),
        listings=(Listing("coingecko", "flow"), Listing("binance", "FLOWUSDT")),
    )
    assert now.former == (Former("THEN", day("2020-01-01")), Former("LATER", day("2021-01-01T11:30")))
    times = [day("2019-12-31"), day("2020-01-01"), day("2021-01-01T11:29"), day("2021-01-01T11:30"), None]
    assert [now.symbol_at(at) for at in times] == ["THEN", "LATER", "LATER", "NOW", "NOW"]
    assert registry.resolve("then").id == "old-and-new"
    with pytest.raises(UnknownSymbol):
        load_registry().resolve("FLOW")  # the packaged registry stays as it was


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("id,symbol,name\nflow,FLOW,Flow\n", "utf-8-sig")
    assert load_registry(tmp_path / "mine.csv").resolve("FLOW").name == "Flow"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("bitcoin,BTC,Bitcoin,,,,,,", "the id 'bitcoin' is taken; keep one line"),
        ("flow,FLOW,Flow,,,,,BTCUSDT,", "binance BTCUSDT is bitcoin at that time; limit one"),
        ("flow,FLOW,Flow,,,,,LUNAUSDT[2022-05-12..2022-05-30],", "LUNAUSDT is terra-luna at that time"),
        ("matic-network,MATIC,Matic,,,,,,", "matic-network is polygon-ecosystem-token at that time; limit"),
        (
            "flow,FLOW,Flow,,,,,A[..2022-01-02] B[2022-01-01..],",
            "binance calls it A and B at one time; end one",
        ),
        ("flow,FLOW,Flow,,,,,A B,", "binance calls it A and B at one time; end one"),
        ("flow,FLOW,Flow,,,,,A[2022-01-02..2022-01-01],", "after its end; swap the dates"),
        ("flow,FLOW,Flow,A[..2022-01-02] B[..2022-01-02],,,,,", "former tickers overlap; list them oldest"),
        ("flow,FLOW,Flow,OLD,,,,,", "former ticker 'OLD'; write until when"),
        ("flow,FLOW,Flow,old[..2022-01-01],,,,,", "ticker 'old'; write it in upper case"),
        ("flow,flow,Flow,,,,,,", "ticker 'flow'; write it in upper case"),
        ("flow,,Flow,,,,,,", "ticker ''; write it in upper case"),
        ("Flow,FLOW,Flow,,,,,,", "id 'Flow'; write CoinGecko's id in lower case"),
        ("flow,FLOW,,,,,,,", "flow has no name; add one"),
        ("flow,FLOW,Flow", "3 cells under 9 columns; add or remove commas"),
        ("flow,FLOW,Flow,,,,,,,", "10 cells under 9 columns; add or remove commas"),
        ("flow,FLOW,Flow,,2022-02-30,,,,", "time '2022-02-30'; write 2024-09-04"),
        ("flow,FLOW,Flow,,2022-01-01T10:00,,,,", "time '2022-01-01T10:00' has no zone; add Z"),
        ("flow,FLOW,Flow,,2022-01-02,2022-01-01,,,", "swap the dates"),
        ("flow,FLOW,Flow,,,,,A[2022-01-01],", "'A[2022-01-01]'; write ID, ID[..end]"),
        ("flow,FLOW,Flow,,,,onflow,,", "CoinGecko's present id must be flow, the line's id; change one"),
        ("flow,FLOW,Flow,,,,flow[..2022-01-01],,", "CoinGecko's present id must be flow"),
        ('flow,FLOW,"Flow,,,,,,', "unexpected end of data"),
    ],
)
def test_a_bad_line_is_refused_by_file_line_and_what_to_do(tmp_path: Path, line: str, says: str) -> None:
    header = "id,symbol,name,former,tracked_from,tracked_to,coingecko,binance,coinbase"
    file = written(tmp_path, header, "# a note", "tether-gold,XAUT,Tether Gold,,,,,,", line)
    with pytest.raises(ValueError) as e:
        load_registry(file)
    assert str(e.value).startswith(f"{file}, line 4: ")
    assert says in str(e.value)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("id,symbol,name,binanse", "missing [], unknown ['binanse']; the first line names the columns"),
        ("id,name", "missing ['symbol'], unknown []; the first line names the columns"),
        ("id,symbol,name,name", "a column twice; the first line names the columns"),
        ("# nothing", "no columns; start with id,symbol,name"),
    ],
)
def test_a_bad_header_is_refused(tmp_path: Path, header: str, says: str) -> None:
    with pytest.raises(ValueError) as e:
        load_registry(written(tmp_path, header))
    assert str(e.value).startswith(f"{tmp_path / 'mine.csv'}, line 1: {says}")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes("id,symbol,name\nflow,FLOW,Flöw\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"mine\.csv: .*; save it as UTF-8"):
        load_registry(tmp_path / "mine.csv")


def test_ids_and_tickers_agree_with_a_recorded_list_of_coins(shared_data: Path) -> None:
    """CoinGecko's /coins/list of 2021-05-15: what is in it under our id bears the ticker of that day."""
    body = shared_data / "http/coingecko/test_that_it_gets_the_list_supported_coins.body.txt"
    rows = json.loads(base64.b64decode(body.read_text()))
    tickers = {row["id"]: row["symbol"].upper() for row in rows}
    at = day("2021-05-15")
    then = {
        listing.id: asset.symbol_at(at)
        for asset in REGISTRY.assets
        for listing in asset.listings
        if listing.venue == "coingecko" and listing.at(at) and listing.id in tickers
    }
    assert then == {id_: tickers[id_] for id_ in then}
    assert len(then) == 52
    for id_ in ("matic-network", "eos", "fantom", "terra-luna", "ftx-token", "havven"):
        assert id_ in then
