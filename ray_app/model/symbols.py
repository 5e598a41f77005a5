"""Which asset a text means, and which currencies prices are told in.

A ticker is no identity: LUNA meant Terra Classic until May 2022 and means another coin since, so tickers
and venue ids carry the time for which they hold. What is known stands in `instruments.csv`, a line per
asset. A redenomination is no rename: MKR is not SKY, 24,000 SKY replace one.
"""

from collections.abc import Iterable
from datetime import datetime
from difflib import SequenceMatcher
from functools import cache
from importlib import resources
from pathlib import Path

from ray_app.model.errors import NodeError
from ray_app.model.instruments import Asset, Former, Listing, read_assets
from ray_app.model.timerange import Coverage

__all__ = [
    "CURRENCIES",
    "AmbiguousSymbol",
    "Asset",
    "Former",
    "Listing",
    "Registry",
    "UnknownSymbol",
    "load_registry",
]

# What CoinGecko lists both under /simple/supported_vs_currencies and /exchange_rates. No `usdt` there.
_COINS = ("btc", "eth", "ltc", "bch", "bnb", "eos", "xrp", "xlm", "link", "dot", "yfi", "sol", "bits", "sats")
CURRENCIES = (
    *_COINS,
    "usd", "aed", "ars", "aud", "bdt", "bhd", "bmd", "brl", "cad", "chf", "clp", "cny", "czk", "dkk", "eur",
    "gbp", "gel", "hkd", "huf", "idr", "ils", "inr", "jpy", "krw", "kwd", "lkr", "mmk", "mxn", "myr", "ngn",
    "nok", "nzd", "php", "pkr", "pln", "rub", "sar", "sek", "sgd", "thb", "try", "twd", "uah", "vef", "vnd",
    "zar", "xdr", "xag", "xau",
)  # fmt: skip
LONGEST_NAME = 64  # characters of an unknown text that are compared for the nearest symbols


class UnknownSymbol(NodeError):
    """No asset is called so. `nearest`: the three nearest tracked symbols (fewer if fewer are tracked)."""

    def __init__(self, text: str, nearest: tuple[str, ...]) -> None:
        Exception.__init__(self, text, nearest)
        self.text, self.nearest = text, nearest

    def __str__(self) -> str:
        return f"unknown symbol {self.text!r}; nearest: {', '.join(self.nearest) or 'none'}"


class AmbiguousSymbol(NodeError):
    """Several assets are called so. `candidates`: their ids."""

    def __init__(self, text: str, candidates: tuple[str, ...]) -> None:
        Exception.__init__(self, text, candidates)
        self.text, self.candidates = text, candidates

    def __str__(self) -> str:
        return f"ambiguous symbol {self.text!r}; ask by id: {', '.join(self.candidates)}"


class Registry:
    """All known assets. Refuses, as ValueError, an id used twice and venue ids that overlap in time."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        self.assets: tuple[Asset, ...] = ()
        self._by_id: dict[str, Asset] = {}
        self._listed: dict[tuple[str, str], list[tuple[Listing, Asset]]] = {}
        for asset in assets:
            self._add(asset)

    def tracked(self, at: datetime | None = None) -> tuple[Asset, ...]:
        """The assets whose data we want at that time; None: those whose tracking has no end."""
        return tuple(asset for asset in self.assets if asset.tracked(at))

    def resolve(self, text: str, at: datetime | None = None) -> Asset:
        """The asset meant by an id (bitcoin), a ticker in any case (btc) or a pair (BTC-USD, BTC/USD).

        A pair's quote must be one of CURRENCIES; BTC_USD will do too. A ticker means what it meant at
        that time (None: now), a tracked asset before others. A former ticker or id leads to the asset
        under its present name. Raises UnknownSymbol, AmbiguousSymbol; never guesses.
        """
        name = text.strip()
        # Only ASCII can name a coin: "ſ".upper() is "S", which is one.
        found = self._called(name, at) if name.isascii() else []
        if not found and (base := _base(name)) and base.isascii():
            name = base
            found = self._by_ticker(name, at)
        if not found:
            raise UnknownSymbol(text, self._nearest(name, at))
        if len(found) > 1:
            raise AmbiguousSymbol(text, tuple(asset.id for asset in found))
        return found[0]

    def by_venue(self, venue: str, id: str, at: datetime | None = None) -> Asset | None:  # noqa: A002 - the venue's word
        """The asset that the venue calls so at that time; None as time: now, else when it last did."""
        known = self._listed.get((venue, id), [])
        if at is not None:
            return next((asset for listing, asset in known if listing.at(at)), None)
        return max(known, key=_ending, default=(None, None))[1]

    def lives(self, venue: str) -> dict[str, Coverage]:
        """Every id that an asset has or had at the venue, with when there are data of it that we want.

        One id may have been several assets, one after another.
        """
        found: dict[str, Coverage] = {}
        for asset in self.assets:
            for name, life in asset.lives(venue).items():
                found[name] = Coverage.of((*found.get(name, Coverage()).ranges, *life.ranges))
        return found

    def _add(self, asset: Asset) -> None:
        if asset.id in self._by_id:
            raise ValueError(f"the id {asset.id!r} is taken; keep one line per asset")
        if asset.tracked_from and asset.tracked_to and asset.tracked_from >= asset.tracked_to:
            raise ValueError(f"tracked from {asset.tracked_from} to {asset.tracked_to}; swap the dates")
        untils = [old.until for old in asset.former]
        if untils != sorted(set(untils)):
            raise ValueError("former tickers overlap; list them oldest first, each with its own end")
        for number, new in enumerate(asset.listings):
            self._check(new, asset.listings[:number])
        self.assets += (asset,)
        self._by_id[asset.id] = asset
        for new in asset.listings:
            self._listed.setdefault((new.venue, new.id), []).append((new, asset))

    def _check(self, new: Listing, earlier: tuple[Listing, ...]) -> None:
        if new.start and new.end and new.start >= new.end:
            raise ValueError(f"{new.venue} {new.id} starts at {new.start}, after its end; swap the dates")
        for old in earlier:
            if old.venue == new.venue and old.overlaps(new):
                raise ValueError(f"{new.venue} calls it {old.id} and {new.id} at one time; end one first")
        for old, owner in self._listed.get((new.venue, new.id), []):
            if old.overlaps(new):
                raise ValueError(f"{new.venue} {new.id} is {owner.id} at that time; limit one of them")

    def _called(self, name: str, at: datetime | None) -> list[Asset]:
        """Assets with that id, now or formerly, or that ticker."""
        named = self._by_id.get(name.lower()) or self.by_venue("coingecko", name.lower())
        found = self._by_ticker(name, at)
        return [named, *(asset for asset in found if asset is not named)] if named else found

    def _by_ticker(self, name: str, at: datetime | None) -> list[Asset]:
        """Who bears the ticker at that time, else who ever bore it; the tracked ones if there are any."""
        ticker = name.upper()
        bearers = [asset for asset in self.assets if asset.symbol_at(at) == ticker]
        bearers = bearers or [asset for asset in self.assets if ticker in asset.ever()]
        return [asset for asset in bearers if asset.tracked(at)] or bearers

    def _nearest(self, name: str, at: datetime | None) -> tuple[str, ...]:
        matcher = SequenceMatcher(None, "", name[:LONGEST_NAME].lower(), autojunk=False)
        scores: dict[str, float] = {}
        for asset in self.tracked(at):
            for word in (asset.symbol, asset.id, asset.name):
                matcher.set_seq1(word.lower())
                scores[asset.symbol] = max(scores.get(asset.symbol, 0.0), matcher.ratio())
        return tuple(sorted(scores, key=lambda symbol: -scores[symbol])[:3])


def _base(text: str) -> str | None:
    """The ticker of a pair, None if the text is none."""
    for separator in "-/_":
        base, found, quote = text.rpartition(separator)
        if found and quote.lower() in CURRENCIES:
            # aave-link and eos-btc are coins of their own at CoinGecko, not pairs.
            is_id = separator == "-" and text.islower() and quote in _COINS
            return None if is_id else base
    return None


def _ending(known: tuple[Listing, Asset]) -> tuple[bool, float]:
    end = known[0].end
    return (True, 0.0) if end is None else (False, end.timestamp())


def load_registry(extra: Path | None = None) -> Registry:
    """The packaged assets; with `extra`, a file of the same form, those of its lines too.

    The first line names the columns; a user's file may leave out any but id, symbol and name. Several
    ids of one venue, and former tickers, stand in one cell as `OLD[..2024-09-04] NEW[2024-09-04..]`.
    Raises ValueError naming file, line and what to do; OSError when `extra` cannot be read.
    """
    packaged = _packaged()
    if extra is None:
        return packaged
    venues = frozenset(listing.venue for asset in packaged.assets for listing in asset.listings)
    try:
        text = extra.read_text("utf-8-sig")
    except UnicodeDecodeError as e:
        raise ValueError(f"{extra}: {e}; save it as UTF-8") from e
    return _fill(Registry(packaged.assets), str(extra), text, venues)


@cache
def _packaged() -> Registry:
    text = resources.files("ray_app.model").joinpath("instruments.csv").read_text("utf-8")
    return _fill(Registry(()), "instruments.csv", text, None)


def _fill(registry: Registry, file: str, text: str, venues: frozenset[str] | None) -> Registry:
    for place, asset in read_assets(file, text, venues):
        try:
            registry._add(asset)
        except ValueError as e:
            raise ValueError(f"{place}: {e}") from e
    return registry
