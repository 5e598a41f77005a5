"""Made-up sentences, a trap each: words that are tickers, names that are words, names inside other names."""

import time
from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.model.symbols import Asset, Registry, load_registry
from ray_app.process.linking import BESIDE, LINKER, Linker, Mention
from ray_app.process.linking_forms import Need, doubtful_words, forms

LINK = Linker(load_registry())

TRAPS = [
    ("$SOL and $DOT hold up", "solana polkadot"),
    ("Sol is the Latin word for the sun", ""),
    ("El Sol de Mexico reports record heat", ""),
    ("SOL slides 4% as traders leave altcoins", "solana"),
    ("Link your wallet to the app in two steps", ""),
    ("Chainlink (LINK) adds oracles", "chainlink"),
    ("LINK token rallies", "chainlink"),
    ("New App Promises to Link Crypto and Bank Accounts", ""),
    ("Bitcoin Trades Near $40,000", "bitcoin"),
    ("Prices near the end of the month", ""),
    ("NEAR Protocol (NEAR) raises $150M", "near"),
    ("Near Protocol opens a hub in Kenya", "near"),
    ("BITCOIN IS NEAR A NEW HIGH, TRADERS SAY", "bitcoin"),
    ("Layer-1 network NEAR halves its inflation", "near"),
    ("ONE more reason to hold crypto", ""),
    ("One coin, two wallets", ""),
    ("Oil and GAS token prices", ""),
    ("The OP of this thread asked about Reddit rules", ""),
    ("Optimism's OP token unlocks on Friday", "optimism"),
    ("Optimism Fades as Bitcoin Slips Below $90,000", "bitcoin"),
    ("Crypto traders see more optimism in 2026", ""),
    ("Optimism Launches Fault Proofs on Its Mainnet", "optimism"),
    ("An Avalanche of Liquidations Hits Crypto", ""),
    ("Avalanche kills two skiers in Utah", ""),
    ("Avalanche Blockchain Adds Visa Payments", "avalanche-2 V"),
    ("Japan's Jumbo Smartphone Maker Plans Crypto Phone", ""),
    ("Maker founder proposes a new token", "maker"),
    ("Market makers leave crypto exchanges", ""),
    ("Compound interest is the eighth wonder, says crypto investor", ""),
    ("Compound Treasury earns a rating", "compound-governance-token"),
    ("Analysts draw the yield curve for crypto lenders", ""),
    ("Curve Finance front end hijacked", "curve-dao-token"),
    ("Investors dash for cash as crypto falls", ""),
    ("Bitcoin Cash jumps 5%", "bitcoin-cash"),
    ("Bitcoin and Bitcoin Cash jump", "bitcoin bitcoin-cash"),
    ("Ethereum Classic hash rate doubles", "ethereum-classic"),
    ("Wrapped Bitcoin supply shrinks", ""),
    ("Bitcoin SV delisted", ""),
    ("Bitcoin ETF outflows continue", "bitcoin"),
    ("Five charts to watch, writes Bitcoin Magazine", ""),
    ("BitcoinWorld interviews a regulator", ""),
    ("Bitcoin.com names a new chief executive", ""),
    ("Fed holds rates | Ethereum World News", ""),
    ("Weekend guide to Solana Beach, California", ""),
    ("Polygon has six sides in this geometry lesson", ""),
    ("Prada mints NFTs on Polygon", "polygon-ecosystem-token"),
    ("Theta and gamma explained for options traders", ""),
    ("Cosmos documentary returns to television", ""),
    ("Cosmos (ATOM) hub votes on inflation", "cosmos"),
    ("Ripple CEO criticises the SEC", ""),
    ("Ripple rallies 8% after the ruling", "ripple"),
    ("Bitcoin, Ethereum and Ripple fall", "bitcoin ethereum ripple"),
    ("A ripple effect for crypto lenders", ""),
    ("XRP climbs after Ripple's settlement", "ripple"),
    ("Stellar quarter for crypto exchanges", ""),
    ("Stellar network adds smart contracts", "stellar"),
    ("Trump says crypto is the future", ""),
    ("Official Trump memecoin sinks", "official-trump"),
    ("$TRUMP holders invited to dinner", "official-trump"),
    ("Musk's DOGE cuts staff at federal agencies", ""),
    ("DOGE jumps as Musk tweets", "dogecoin"),
    ("r/Bitcoin moderators step down", ""),
    ("@solana posted a poll https://near.org/sol", ""),
    ("Coinbase to list five tokens", "COIN"),
    ("COIN shares drop after earnings", "COIN"),
    ("Crypto stocks: $COIN, $MSTR and $HOOD slide", "COIN MSTR HOOD"),
    ("Flip a COIN to decide", ""),
    ("MicroStrategy buys more bitcoin", "MSTR bitcoin"),
    ("Strategy buys more bitcoin", "MSTR bitcoin"),
    ("A trading strategy for bitcoin", "bitcoin"),
    ("Best Crypto Trading Strategy for 2026", ""),
    ("Robinhood adds staking", "HOOD"),
    ("Police clear a riot in Paris", ""),
    ("Riot Platforms mines 500 BTC", "RIOT bitcoin"),
    ("London Marathon accepts crypto donations", ""),
    ("Marathon Digital sells bitcoin", "MARA bitcoin"),
    ("Meta’s stablecoin plan returns", "META"),
    ("A Meta Analysis of DeFi Hacks", ""),
    ("Apple and Nvidia lift Wall Street", "AAPL NVDA"),
    ("An apple a day", ""),
    ("Google unveils Gemini 3", "GOOGL"),
    ("S&P 500 falls as a U.S. bill stalls", ""),
    ("A is for altcoin", ""),
    ("Vaulta ($A) goes live", "vaulta"),
    ("Solana, Polkadot and Sui gain", "solana polkadot sui"),
    ("Sky is the limit for crypto", ""),
    ("MakerDAO becomes Sky", "maker sky"),
    ("The graph shows crypto adoption", ""),
    ("Near-term outlook for bitcoin is weak", "bitcoin"),
    ("Silver-like rally, Bitcoin-like volatility", ""),
    ("Block crypto scams, says regulator", ""),
    ("Regulators Block Crypto Merger", ""),
    ("Jack Dorsey's Block unveils a mining chip", "XYZ"),
    ("Visa ban hits crypto workers", ""),
    ("Tether mints another billion USDT", "tether"),
    ("Climbers tether themselves to a rope", ""),
    ("Vanished into the ether", ""),
    ("Ether ETFs see inflows", "ethereum"),
    ("Quant funds pile into crypto", ""),
    ("Render farms use more power", ""),
    ("The Sandbox and Gala rally", ""),
    ("Crypto exchange Gemini wins a licence in Malta", "GEMI"),
    ("Analysts like (NEAR) and other layer-1 tokens", "near"),
    ("Harvest Near the Link Road, Says Maker of Stellar Dash Cams", ""),
    ("STOCKS CAN FALL FURTHER, ANALYSTS WARN", ""),
    ("Galaxy's brightest star seen by astronomers", ""),
    ("Circle's radius", ""),
    ("Meta unveils glasses", "META"),
    ("AMD unveils a new chip", "AMD"),
    ("Investors bought shares of Citi", "C"),
    ("Bitcoin-based lending, Ethereum-native apps", "bitcoin ethereum"),
    ("ADA compliance lawsuit filed against a hotel", ""),
    ("ADA price falls 3%", "cardano"),
    ("Flow of funds into Gala dinners", ""),
    ("Solana price: SOL/USDT at $140", "solana tether"),
    ("US Intel agencies warn of crypto theft", ""),
    ("Terra Luna Classic burns tokens", "terra-luna"),
    ("FTX creditors get paid", ""),
    ("Binance lists new tokens", ""),
    ("Crypto.com renews an arena deal", ""),
    ("Crypto.com Coin rises", "crypto-com-chain"),
    ("Fantom becomes Sonic, FTM holders swap to S", "sonic-3"),
    ("Theta Labs, Harmony and Gala", ""),
    ("How the Avalanche of crypto liquidations began", ""),
    ("An Avalanche will hit crypto lenders, analyst warns", ""),
    ("Stacks to open a crypto office in Lagos", "blockstack"),
    ("Circle to Acquire a Stablecoin Issuer", "CRCL"),
    ("Coinbase and Circle Sign a Letter on Stablecoins", "COIN CRCL"),
    ("Hut Eight (HUT) cuts staff", "HUT"),
    ("A token sale opens in Zug", ""),
    ("SOL overtakes DOT", "solana polkadot"),
    ("Bitcoin, Cash and Gold", "bitcoin"),
]


def assets(
    linker: Linker, title: str, text: str = "", hints: Collection[str] = (), at: datetime | None = None
) -> set[str]:
    return {mention.asset for mention in linker.mentions(title, text, hints, at)}


@pytest.mark.parametrize(("title", "expected"), TRAPS, ids=[title for title, _ in TRAPS])
def test_a_trap(title: str, expected: str) -> None:
    assert assets(LINK, title) == set(expected.split())


def test_a_mention_says_what_it_rests_on() -> None:
    assert LINK.mentions("Coinbase lists $SOL", "Bitcoin did not move.") == (
        Mention("solana", "coin", 0.99),
        Mention("COIN", "stock", 0.97),
        Mention("bitcoin", "coin", 0.8245),
    )
    assert LINKER == "rules/1"


def test_the_title_tells_the_topic_of_the_text_and_not_the_other_way_round() -> None:
    assert assets(LINK, "Crypto markets today", "NEAR was flat.") == {"near"}
    assert assets(LINK, "Markets today", "NEAR was flat. Cats slept.") == set()
    assert assets(LINK, "NEAR was flat", "Crypto slept.") == set()


def test_another_form_of_the_same_coin_backs_a_word() -> None:
    backed = LINK.mentions("Optimism at a record", "OP was flat.")
    assert backed == (Mention("optimism", "coin", BESIDE),)
    assert assets(LINK, "Optimism at a record", "The mood in Brussels was good.") == set()


def test_hints_stand_for_the_topic_and_make_no_mention() -> None:
    assert assets(LINK, "Polygon ships a fix", hints=["MATIC"]) == {"polygon-ecosystem-token"}
    assert assets(LINK, "UNI was flat", hints=["uniswap"]) == {"uniswap"}
    assert assets(LINK, "UNI was flat") == set()
    assert (
        assets(LINK, "Markets today", hints=["BTC", "near", "$COIN", "ethereum-classic", "", "???"]) == set()
    )
    assert assets(LINK, "Prices near records as traders link arms", hints=["NEAR", "LINK"]) == set()


def test_a_ticker_means_what_it_meant_when_the_text_was_published() -> None:
    before, after = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    assert assets(LINK, "LUNA token rallies", at=before) == {"terra-luna"}
    assert assets(LINK, "LUNA token rallies", at=after) == {"terra-luna-2"}
    assert assets(LINK, "LUNA token rallies") == {"terra-luna-2"}
    assert assets(LINK, "Terra crash haunts regulators", at=after) == {"terra-luna"}
    assert assets(LINK, "MATIC token rallies", at=before) == {"polygon-ecosystem-token"}


def test_coins_of_a_users_own_registry_follow_the_same_rules() -> None:
    mine = Linker(
        Registry(
            [
                Asset(id="harmony", symbol="ONE", name="Harmony"),
                Asset(id="gala", symbol="GALA", name="Gala"),
                Asset(id="zyxwave", symbol="ZYXW", name="Zyxwave"),
            ]
        )
    )
    assert assets(mine, "ONE token slides after the hack") == {"harmony"}
    assert assets(mine, "Harmony (ONE) slides with other altcoins") == {"harmony"}
    assert assets(mine, "One crypto gala in perfect harmony") == set()
    assert assets(mine, "The Met Gala accepts crypto") == set()
    assert assets(mine, "ZYXW doubles") == assets(mine, "Zyxwave doubles") == {"zyxwave"}
    assert assets(mine, "Bitcoin, Ethereum and Near tokens rally") == set()  # not in this registry


def test_every_doubtful_spelling_asks_for_evidence() -> None:
    """Tickers of up to three letters, and words of the list, save those that the files call clear."""
    clear = {"BTC", "ETH", "XRP", "BNB", "TRX", "BCH", "XLM", "XMR", "ZEC", "LTC", "MKR", "FTM", "EOS", "POL"}
    by_spelling = defaultdict(set)
    for form in forms(load_registry()):
        by_spelling[form.written].add(form.need)
    for asset in load_registry().assets:
        for ticker in asset.ever() - clear:
            if len(ticker) <= 3 or (
                ticker.lower() in doubtful_words() and ticker not in {"DOGE", "LUNA", "AAVE"}
            ):
                assert Need.NOTHING not in by_spelling[ticker], ticker


def test_two_thousand_headlines_a_second() -> None:
    titles = [title for title, _ in TRAPS] * 20
    start = time.process_time()
    for title in titles:
        LINK.mentions(title)
    assert len(titles) / (time.process_time() - start) >= 2000


PIECES = st.sampled_from(
    [*(word for title, _ in TRAPS for word in title.split()), " ", "$", "(", ")", "\n", "’s", "-"]
)


@given(
    title=st.one_of(st.text(), st.lists(PIECES).map(" ".join), st.lists(PIECES).map("".join)),
    text=st.one_of(st.text(), st.lists(PIECES).map(" ".join)),
    hints=st.lists(st.text()),
    at=st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
)
def test_any_text_will_do(title: str, text: str, hints: list[str], at: datetime | None) -> None:
    mentions = LINK.mentions(title, text, hints, at)
    assert mentions == LINK.mentions(title, text, hints, at)
    assert all(0 < mention.confidence <= 1 for mention in mentions)
    assert len({mention.asset for mention in mentions}) == len(mentions)
    assert [mention.confidence for mention in mentions] == sorted(
        (m.confidence for m in mentions), reverse=True
    )
