"""The tables of features: which sets there are, and a row of numbers per asset, hour and revision."""

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String

from ray_app.store.metadata import table
from ray_app.store.types import Id, Instant, LongText

feature_sets = table(
    "feature_sets",
    Column("hash", String(16), primary_key=True),
    Column("names", LongText, nullable=False),  # JSON: the features in the order in which rows have them
    Column("made_at", Instant, nullable=False),
    Column("looked", Id, nullable=False),  # the last slice that was looked at for corrections; moved in place
    Column(
        "skew", LongText, nullable=True
    ),  # JSON: how rows came out when they were worked out again, replaced
)

ml_features = table(
    "ml_features",
    Column("asset", String(100), primary_key=True),  # its id in the registry
    Column("feature_set", String(16), ForeignKey("feature_sets.hash"), primary_key=True),
    Column("at", Instant, primary_key=True),  # when its hour ended
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column(
        "numbers", LargeBinary, nullable=False
    ),  # float64, little-endian, in the order of the set; NaN is null
    Column("bars", String(100), nullable=False),  # the data set of its candles
    Column("as_of", Instant, nullable=False),  # it has what the store had by then
    Column("made_at", Instant, nullable=False),  # when it was written: answers show it from then on
)
