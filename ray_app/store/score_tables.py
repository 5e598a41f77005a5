"""The tables of sentiment: what a model said of a text, which was configured from when on, what asking one costs."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String

from ray_app.store.metadata import table
from ray_app.store.types import Exact, Id, Instant, LongText

scorers = table(  # which model gave the scores from when on, of each kind of text
    "scorers",
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("record", String(20), nullable=False, index=True),  # Article | Post | advanced
    Column("model", String(100), nullable=False),
    Column("digest", String(64), nullable=False),  # of all that decides a score
    Column("identity", LongText, nullable=False),  # JSON: the digests of weights, tokenizer, label map, ...
    Column("configured_at", Instant, nullable=False),
)

text_scores = table(  # what a model said of a text: all of its numbers, or a reason
    "text_scores",
    Column("series", Id, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("item", String(190), primary_key=True),
    Column("digest", String(64), primary_key=True),  # of the model
    Column("revision", Integer, primary_key=True, autoincrement=False),  # of the text, the first that says it
    Column("through", Integer, nullable=False),  # the last revision that says the same; moved in place
    Column("model", String(100), nullable=False),
    Column(
        "content", String(64), nullable=True, index=True
    ),  # SHA-256 of what was read; none of a wiped text
    Column("score", Exact(), nullable=True),
    Column("label", String(10), nullable=True),
    Column("confidence", Exact(), nullable=True),
    Column("bearish", Exact(), nullable=True),
    Column("neutral", Exact(), nullable=True),
    Column("bullish", Exact(), nullable=True),
    Column("reason", String(40), nullable=True),  # why there is no score
    Column("engagement", Id, nullable=False),  # likes and answers, rounded down to one less than a power of 2
    Column("known_at", Instant, nullable=False),  # when anyone could have known that revision
    Column("made_at", Instant, nullable=False),
)

llm_spend = table(  # what a month's questions to a language model cost, in nanodollars; updated in place
    "llm_spend",
    Column("scope", String(100), primary_key=True),
    Column("month", String(7), nullable=False),
    Column("budget", Id, nullable=False),
    Column("spent", Id, nullable=False),  # what is set aside for requests under way included
    Column("requests", Id, nullable=False),  # that money was set aside for
    Column("settled", Id, nullable=False),
    Column("closed", String(300), nullable=True),  # why nothing is asked
    Column("closed_at", Instant, nullable=True),
    Column("closed_until", Instant, nullable=True),
    Column("is_on", Boolean(create_constraint=False), nullable=False),  # whether the settings ask it
)
