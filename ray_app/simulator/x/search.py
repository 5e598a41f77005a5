"""One question of recent search or counts: its bounds, and the posts that fit it."""

import heapq
import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from ray_app.simulator.clock import iso
from ray_app.simulator.texts.tweets import LAST_EDIT_MS, SNOWFLAKE_EPOCH_MS, Tweet, Tweets
from ray_app.simulator.x.answers import invalid
from ray_app.simulator.x.query import BadQuery, compiled

WEEK_MS = 7 * 86_400_000
Found = tuple[Tweet, int]  # a post and which of its versions


class Search:
    """Raises Rejection (400) for bounds and queries that the API refuses. Times in milliseconds."""

    def __init__(self, params: Mapping[str, str], now_ms: int) -> None:
        try:
            self._matches = compiled(params.get("query", ""))
        except BadQuery as bad:
            raise invalid("query", params.get("query", ""), str(bad)) from None
        self._now_ms = now_ms
        self.start_ms = _time(params, "start_time", now_ms, now_ms - WEEK_MS)
        self.end_ms = _time(params, "end_time", now_ms, now_ms)
        self._low, self._high = _id(params, "since_id", 0), _id(params, "until_id", 2**63)
        if self.start_ms < now_ms - WEEK_MS:
            earliest = f"{iso(now_ms - WEEK_MS)[:16]}Z"
            told = (
                f"Invalid 'start_time':'{params['start_time']}'. 'start_time' must be on or after {earliest}"
            )
            raise invalid("start_time", params["start_time"], told)

    def found(self, tweets: Tweets, counting: bool = False) -> Iterator[Found]:
        """Posts that fit by the id of the version that stands, newest first.

        Counting does not look at deletions and edits, as the counts of the API do not.
        """
        start_ms = self.start_ms
        if self._low:
            start_ms = max(start_ms, (self._low >> 22) + SNOWFLAKE_EPOCH_MS - LAST_EDIT_MS)
        waiting: list[tuple[int, int, Found]] = []  # edits put a post before younger ones
        for tweet in tweets.newest(start_ms, min(self.end_ms, self._now_ms + 1)):
            settled_ms = tweet.at_ms + LAST_EDIT_MS
            while waiting and tweet_ms(waiting[0][2]) > settled_ms:
                yield heapq.heappop(waiting)[2]
            version = 0 if counting else tweet.standing(self._now_ms)
            if version is None or not self._low < int(tweet.versions[version][1]) < self._high:
                continue
            if self._matches(tweet, tweet.versions[version][2]):
                heapq.heappush(waiting, (-int(tweet.versions[version][1]), tweet.span, (tweet, version)))
        while waiting:
            yield heapq.heappop(waiting)[2]


def tweet_ms(found: Found) -> int:
    tweet, version = found
    return tweet.versions[version][0]


def _time(params: Mapping[str, str], name: str, now_ms: int, default: int) -> int:
    text = params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
        raise invalid(
            name, text, f"The `{name}` query parameter value [{text}] does not match an RFC3339 date-time"
        )
    read = round(datetime.fromisoformat(text).timestamp() * 1000)
    if read > now_ms:
        raise invalid(
            name, text, f"Invalid '{name}':'{text}'. '{name}' must be a minimum of 10 seconds prior to now"
        )
    return read


def _id(params: Mapping[str, str], name: str, default: int) -> int:
    text = params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise invalid(
            name, text, f"The `{name}` query parameter value [{text}] does not match ^[0-9]{{1,19}}$"
        )
    return int(text)
