"""What made-up texts are put together from. Companies, people and places in them are invented; coins and
tickers are real names, the numbers in front of them are not.

Each kind of story has several wordings, since outlets tell the same story in their own words. The
braces are filled by stories.py; every wording of a kind needs only fields that the kind has.
"""

from collections.abc import Mapping, Sequence

FIRMS = (
    "Northgate Capital", "Harbour Lane", "Bluefin Markets", "Quarry & Sons", "Tidewater Trust", "Ostrava Labs",
    "Kestrel Digital", "Meridian Vaults", "Lark Street Partners", "Foxglove Exchange", "Tallow Bank", "Ironbark",
)  # fmt: skip
PLACES = (
    "Ruritania",
    "Elbonia",
    "Westmark",
    "Port Amity",
    "San Lorenzo",
    "Freedonia",
    "Sylvania",
    "Costaguana",
)
WRITERS = (
    "Ada Fennimore", "Ben Okoro", "Carla Vint", "Dev Marsh", "Edda Lund", "Femi Strand", "Greta Holm",
    "Hugo Pell", "Ines Varga", "Jonah Crake", "Kira Tamm", "Leo Sandoval",
)  # fmt: skip
HANDLES = (
    "sat_stacker", "paperhandsjoe", "nodeRunner", "midcurve", "gm_all_day", "bag_holder", "lambo_when",
    "chart_goblin", "quiet_hodler", "wick_watcher", "gasfeepain", "seedphrase", "rekt_again", "apeish",
)  # fmt: skip
STOCKS: Mapping[str, str] = {
    "COIN": "Coinbase", "MSTR": "Strategy", "MARA": "MARA Holdings", "RIOT": "Riot Platforms", "HOOD": "Robinhood",
    "NVDA": "Nvidia", "TSLA": "Tesla", "AAPL": "Apple", "MSFT": "Microsoft", "AMD": "AMD",
}  # fmt: skip

# kind -> (tone, wordings). Tone: -1 bad, 0 neither, 1 good for the price of what the story is about.
CRYPTO: Mapping[str, tuple[int, Sequence[str]]] = {
    "rise": (1, (
        "{name} climbs {percent}% to ${price} as buyers return",
        "{name} ({symbol}) gains {percent}% in a day, trades at ${price}",
        "Why {name}'s price is up {percent}% today",
        "{symbol} rallies to ${price}: what's next?",
    )),
    "fall": (-1, (
        "{name} slides {percent}% to ${price} as sellers take over",
        "{name} ({symbol}) drops {percent}% in a day, trades at ${price}",
        "Why {name}'s price is down {percent}% today",
        "{symbol} sinks to ${price}: how low can it go?",
    )),
    "fund": (1, (
        "{firm} files for a spot {name} fund in {place}",
        "{name} fund planned by {firm}, filing shows",
        "Spot {symbol} fund: {firm} joins the queue",
    )),
    "inflow": (1, (
        "{name} funds take in ${millions} million in a week",
        "Investors add ${millions}M to {name} products",
        "${millions}M flows into {symbol} funds, {firm} says",
    )),
    "outflow": (-1, (
        "{name} funds lose ${millions} million in a week",
        "Investors pull ${millions}M from {name} products",
        "${millions}M leaves {symbol} funds, {firm} says",
    )),
    "theft": (-1, (
        "{firm} loses ${millions} million of {name} in an attack",
        "Hackers drain ${millions}M in {symbol} from {firm}",
        "{firm} halts {name} withdrawals after ${millions}M exploit",
    )),
    "upgrade": (1, (
        "{name} developers set a date for the next upgrade",
        "{name}'s next upgrade goes live on a test network",
        "What {symbol} holders should know about the coming upgrade",
    )),
    "ban": (-1, (
        "{place} moves to ban {name} payments",
        "Regulator in {place} warns about {name} & other tokens",
        "{place} lawmakers want {symbol} off local exchanges",
    )),
    "custody": (0, (
        "{firm} to hold {name} for its clients",
        "{firm} adds {name} custody in {place}",
        "{symbol} custody: {firm} opens a desk in {place}",
    )),
    "whale": (0, (
        "A wallet asleep since 2017 moves {amount} {symbol}",
        "{name}: {amount} {symbol} leave an old wallet",
        "Who moved {amount} {symbol}? {firm} has a guess",
    )),
}  # fmt: skip
MARKETS: Mapping[str, tuple[int, Sequence[str]]] = {
    "up": (1, (
        "{company} shares rise {percent}% after results beat forecasts",
        "{company} ({ticker}) jumps {percent}% in early trading",
        "{company} stock gains {percent}% on upbeat outlook",
    )),
    "down": (-1, (
        "{company} shares fall {percent}% after results miss forecasts",
        "{company} ({ticker}) slips {percent}% in early trading",
        "{company} stock loses {percent}% on weak outlook",
    )),
    "rates": (0, (
        "Central bank of {place} leaves its rate unchanged",
        "{place}: no change in rates, two members dissent",
        "Rates on hold in {place} as inflation cools to {percent}%",
    )),
    "deal": (1, (
        "{firm} to buy {company} unit for ${millions} million",
        "{company} sells a unit to {firm} in ${millions}M deal",
        "{firm} & {company} agree ${millions}M sale",
    )),
}  # fmt: skip

LEADS = (
    "The move follows a quiet week, {firm} wrote in a note.",
    "Traders in {place} said that volumes were thin.",
    '"We\'re not surprised," said {writer} of {firm}.',
    "It is the {ordinal} time this quarter, according to {firm}.",
)
PARAGRAPHS = (
    "Analysts at {firm} had expected something of the kind & published a note in {place} on the subject.",
    "The figures come from {firm}, which counts trades on {count} venues; other counts differ a little.",
    "“Liquidity is what matters,” said {writer}, a strategist. <em>Nobody</em> at the firm would say more.",
    "Open interest in futures stood {percent}% higher than a month ago, and funding was close to zero.",
    "A spokesperson in {place} did not answer questions before publication.",
    "Volumes on {count} exchanges were below their average of the last thirty days.",
)
ORDINALS = ("second", "third", "fourth", "fifth")

POSTS: Mapping[int, Sequence[tuple[str, str]]] = {
    1: (
        ("{name} is looking strong", "Bought more {symbol} at ${price}. Up {percent}% and I'm not selling."),
        ("Finally green on {symbol}", "Held {name} for {count} months. Today it pays. To the moon!"),
        ("{symbol} at ${price}, feels good", "Who else is still holding? I think we go higher from here."),
    ),
    -1: (
        ("I'm done with {name}", "Sold all my {symbol} at ${price}. Down {percent}%, can't watch it any more."),
        ("{symbol} keeps bleeding", "Down {percent}% again. Is anybody buying this dip or is it over?"),
        ("Lost a lot on {name}", "Got in {count} months ago. Now ${price}. Don't do what I did."),
    ),
    0: (
        ("What wallet do you use for {name}?", "I hold some {symbol} & want to move it off the exchange."),
        ("How is {symbol} taxed in {place}?", "Asking for a friend. He bought {amount} {symbol} in 2021."),
        ("Daily {name} discussion", "Talk about {symbol} here. Be nice to each other.\n\n* no shilling\n* no spam"),
    ),
}  # fmt: skip
REPLIES: Mapping[int, Sequence[str]] = {
    1: ("Same here, bullish on {symbol}.", "Great, congrats!", "This is only the start for {name}."),
    -1: ("Sorry for your loss.", "{symbol} is dead, move on.", "It can always go lower > ${price}."),
    0: ("It depends.", "Ask your bank & read the docs.", "I use {firm}, no complaints about {symbol}."),
}
TWEETS: Mapping[int, Sequence[str]] = {
    1: ("${symbol} up {percent}% and just getting started 🚀", "Added more ${symbol} at ${price}. Bullish on {name}.",
        "{name} breaking out! ${symbol} #{tag}"),
    -1: ("${symbol} down {percent}%, this looks ugly", "Closed my ${symbol} long at ${price}. {name} is weak.",
         "{name} dumping again 📉 ${symbol} #{tag}"),
    0: ("${symbol} at ${price}. Where do we go from here?", "Reading up on {name} & its fees. ${symbol} #{tag}",
        "Anyone in {place} using {name} for payments? ${symbol}"),
}  # fmt: skip
