"""As what the texts of a source count in sums of sentiment.

Filings of the SEC speak of companies and take no side: they are linked and do not count.
"""

from ray_app.model.records import Record
from ray_app.model.texts import Post
from ray_app.process.sentiment.aggregate import Kind

OF_POSTS: dict[str, Kind] = {"reddit": "reddit", "x": "twitter"}
NO_OPINION = frozenset({"edgar"})


def kind_of(record: type[Record], source: str) -> Kind | None:
    """As what the texts of a source count; None: they do not."""
    if record is Post:
        return OF_POSTS.get(source)
    return None if source in NO_OPINION else "news"
