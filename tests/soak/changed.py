"""What upstreams did to their own texts in a run: edits, new titles, deletions. Read from the simulator's truth."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx

Changes = dict[tuple[str, str], list[str]]  # (stream, the source's id) -> when it was changed or taken away


async def changed(upstreams: str, start: datetime, end: datetime, subreddits: Iterable[str]) -> Changes:
    """All changes of texts written in [start, end), whenever they were changed. Times in UTC, ISO 8601."""
    window = {"from": start.isoformat(), "to": end.isoformat()}
    out: Changes = {}
    async with httpx.AsyncClient(base_url=upstreams, timeout=60) as http:

        async def told(name: str, **more: str) -> list[dict[str, Any]]:
            return (await http.get(f"/sim/truth/{name}", params=window | more)).raise_for_status().json()

        for post in await told("x"):
            gone = [post["deleted_ms"]] if post["deleted_ms"] is not None else []
            moments = [_at(ms / 1000) for ms in (*post["at_ms"][1:], *gone)]
            out["x.posts", post["ids"][0]] = moments
        for article in await told("guardian"):
            moments = [one for one in (article["updated"], article["taken_down"]) if one]
            out["guardian.articles", article["id"]] = [
                datetime.fromisoformat(one).isoformat() for one in moments
            ]
        for subreddit in subreddits:
            for post in await told("reddit", sub=subreddit):
                moments = [_at(one) for one in (post["edited"], post["ended"]) if one is not None]
                out["reddit.posts", f"t3_{post['id']}"] = moments
    return {place: moments for place, moments in out.items() if moments}


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
