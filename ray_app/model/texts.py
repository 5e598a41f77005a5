"""What people write: articles of news feeds and posts of social networks. Both are keyed by the source's id.

`at` is when the text was published if that is stated, else the poll that found it; it stays what it was
at first sight, while `published` follows the source. Texts are plain: no HTML. What the source does not
tell is None; nothing is guessed.
"""

from datetime import datetime

from ray_app.model.records import Count, Exact, Instant, Key, Name, Record, Text


class Article(Record):
    """One story of one feed (an RSS feed, a section, a form of filing)."""

    partition_field, cursor_field, key_field = "feed", "at", "item"

    feed: Name
    item: Key  # the feed's own id; a long one as its SHA-256
    at: Instant
    published: Instant | None = None
    updated: Instant | None = None
    title: Text | None = None
    summary: Text | None = None
    body: Text | None = None  # only where the licence lets us keep it
    url: Text | None = None  # canonical
    author: Text | None = None
    language: Name | None = None  # as stated: en, en-gb
    topics: Text | None = None  # the source's own categories or tickers, joined by "; "

    @property
    def known_at(self) -> datetime:
        return max(self.at, self.published or self.at, self.updated or self.at)


class Post(Record):
    """One post of a social network. `deleted`: its author or a moderator took it away; then it has no text."""

    partition_field, cursor_field, key_field = "feed", "at", "item"

    feed: Name  # a subreddit, a search
    item: Key
    at: Instant  # when it was written
    edited: Instant | None = None
    title: Text | None = None
    body: Text | None = None
    url: Text | None = None  # of the post itself
    author: Text | None = None
    language: Name | None = None
    topics: Text | None = None  # flair, cashtags and hashtags, joined by "; "
    likes: Count | None = None  # score or likes, as the network counts them
    replies: Count | None = None
    shares: Count | None = None
    views: Count | None = None
    like_ratio: Exact | None = None
    deleted: bool = False

    @property
    def known_at(self) -> datetime:
        return self.at
