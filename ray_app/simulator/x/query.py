"""X's search language, as much of it as a collector of coins needs.

Words beside each other must all be there; `OR` binds weaker, `-` excludes, brackets group.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ray_app.simulator.texts.tweets import Tweet

LONGEST = 512
Matches = Callable[[Tweet, str], bool]
TOKENS = re.compile(r'-?[a-z_]+:"[^"]*"|-?"[^"]*"|-?\(|\)|[^\s()]+')
STANDALONE = ("from", "to", "url", "conversation_id", "context", "entity", "list")
FLAGS: dict[str, Callable[[Tweet], bool]] = {
    "is:retweet": lambda tweet: False,  # noqa: ARG005 -- since May 2026 a search finds none
    "is:reply": lambda tweet: tweet.replies_to is not None,
    "is:quote": lambda tweet: tweet.quotes is not None,
    "is:verified": lambda tweet: tweet.author.followers > 5_000,
    "is:nullcast": lambda tweet: False,  # noqa: ARG005 -- nobody advertises here
    "has:links": lambda tweet: tweet.link is not None,
    "has:cashtags": lambda tweet: True,  # noqa: ARG005 -- every post has one
    "has:hashtags": lambda tweet: "#" in tweet.versions[0][2],
    "has:media": lambda tweet: False,  # noqa: ARG005 -- there are no pictures
    "has:images": lambda tweet: False,  # noqa: ARG005
}
LEAST = {"min_likes": 1, "min_replies": 40, "min_reposts": 10}  # how many likes go with one of these


class BadQuery(ValueError):
    """The query is refused; the text says why, as the API's `message`."""


@dataclass(frozen=True, slots=True)
class _Part:
    matches: Matches
    stands: bool  # may be a query by itself


def compiled(text: str) -> Matches:
    """Raises BadQuery."""
    if not text:
        raise BadQuery("The `query` query parameter can not be empty")
    if len(text) > LONGEST:
        raise BadQuery(f"query length must be at most {LONGEST} characters, found {len(text)}")
    tokens = TOKENS.findall(text)
    part, rest = _either(tokens, 0)
    if rest != len(tokens):
        raise BadQuery("There were errors processing your request: missing '(' (at position 1)")
    if not part.stands:
        raise BadQuery(
            "There were errors processing your request: Rules must contain at least one positive, non-stopword clause"
        )
    return part.matches


def _either(tokens: list[str], at: int) -> tuple[_Part, int]:
    parts = []
    while True:
        part, at = _all(tokens, at)
        parts.append(part)
        if at >= len(tokens) or tokens[at] != "OR":
            break
        at += 1
    matches = [part.matches for part in parts]
    return _Part(
        lambda tweet, shown: any(one(tweet, shown) for one in matches), all(part.stands for part in parts)
    ), at


def _all(tokens: list[str], at: int) -> tuple[_Part, int]:
    parts = []
    while at < len(tokens) and tokens[at] not in (")", "OR"):
        token = tokens[at]
        if token in ("(", "-("):
            part, at = _either(tokens, at + 1)
            if at >= len(tokens):
                raise BadQuery("There were errors processing your request: missing ')' at the end")
            at += 1
            parts.append(_not(part) if token == "-(" else part)  # noqa: S105 -- a word of the query
            continue
        at += 1
        excluded = token.startswith("-") and len(token) > 1
        part = _one(token[1:] if excluded else token)
        parts.append(_not(part) if excluded else part)
    if not parts:
        raise BadQuery("There were errors processing your request: an empty clause")
    matches = [part.matches for part in parts]
    return _Part(
        lambda tweet, shown: all(one(tweet, shown) for one in matches), any(part.stands for part in parts)
    ), at


def _not(part: _Part) -> _Part:
    return _Part(lambda tweet, shown: not part.matches(tweet, shown), stands=False)


def _one(token: str) -> _Part:
    name, colon, value = token.partition(":")
    if token.startswith("$"):
        return _Part(lambda tweet, _: tweet.symbol.lower() == token[1:].lower(), stands=True)
    if token.startswith("#"):
        pattern = re.compile(rf"#{re.escape(token[1:])}\b", re.IGNORECASE)
        return _Part(lambda _, shown: pattern.search(shown) is not None, stands=True)
    if token in FLAGS:
        flag = FLAGS[token]
        return _Part(lambda tweet, _: flag(tweet), stands=False)
    if colon and name == "lang":
        return _Part(lambda tweet, _: tweet.lang == value, stands=False)
    if colon and name == "from":
        return _Part(
            lambda tweet, _: value.lower() in (tweet.author.username.lower(), tweet.author.id), stands=True
        )
    if colon and name in LEAST and value.isdigit():
        return _Part(lambda tweet, _: tweet.likes // LEAST[name] >= int(value), stands=False)
    if colon and name not in STANDALONE and not token.startswith(('"', "http")):
        raise BadQuery(f"There were errors processing your request: Reference to invalid operator '{name}'")
    word = token.strip('"')
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    return _Part(lambda _, shown: pattern.search(shown) is not None, stands=True)
