"""Listings: which things are on a page, how pages hang together, and how deep they go.

A listing holds about a thousand things whatever way one pages through it. What was deleted or removed is not on it,
so that paging from such a thing finds nothing, although newer ones exist.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ray_app.simulator.reddit import things
from ray_app.simulator.texts.posts import Comment, Post, Posts

CEILING, MOST, USUAL = 1000, 100, 25
OF_WINDOW = {"hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000}
BUSY = 150  # posts whose comments make up the newest comments of a subreddit
BRANCH, DEEPEST = 8, 3  # of a tree: comments told at the top before `more`, and how far down


@dataclass(frozen=True, slots=True)
class Page:
    """How a listing was asked for."""

    limit: int
    after: str | None
    before: str | None
    counted: bool
    raw: bool

    @staticmethod
    def read(params: Mapping[str, str]) -> "Page":
        """Never refused: a limit out of bounds is moved to the next possible one."""
        limit = params.get("limit", "")
        return Page(
            limit=min(max(int(limit), 1), MOST) if limit.lstrip("-").isdigit() else USUAL,
            after=params.get("after") or None,
            before=params.get("before") or None,
            counted="count" in params,
            raw=params.get("raw_json") == "1",
        )


def newest(posts: Posts, subs: Sequence[int], now: int) -> Iterator[Post]:
    """Posts on the listing of these subreddits, newest first, down to the ceiling."""
    merged = heapq.merge(*(posts.newest(sub, now) for sub in subs), key=lambda post: (-post.at, post.id))
    return islice((post for post in merged if post.state(now) in (None, "account")), CEILING)


def ranked(posts: Posts, subs: Sequence[int], now: int, order: str, window: str) -> list[Post]:
    """hot, rising or top: the same posts in another order."""
    found = list(newest(posts, subs, now))
    if order == "top":
        found = [post for post in found if window == "all" or now - post.at < OF_WINDOW.get(window, 86_400)]
        return sorted(found, key=lambda post: (-post.score(now), -post.at))
    return sorted(found, key=lambda post: (-post.score(now) / (2 + (now - post.at) / 3600) ** 1.5, -post.at))


def comments(posts: Posts, subs: Sequence[int], now: int) -> list[Comment]:
    """The newest comments under the busiest posts, newest first."""
    above = list(islice(newest(posts, subs, now), BUSY))
    found = [
        one for post in above for one in posts.comments(post, now) if one.state(now) in (None, "account")
    ]
    if len(above) == BUSY:  # what lies further back may belong to posts that were not looked at
        found = [one for one in found if one.at >= above[-1].at + 16 * 600]
    return sorted(found, key=lambda one: (-one.at, one.id))[:CEILING]


def paged(items: Iterator[Any], page: Page, name: str) -> tuple[list[Any], str | None, str | None]:
    """A page of things of the kind `name` (t1 or t3), and the anchors after and before it."""
    if page.before is not None:
        head: list[Any] = []
        for item in items:
            if f"{name}_{item.id}" == page.before:
                break
            head.append(item)
        else:
            return [], None, None
        shown = head[-page.limit :]
        after = f"{name}_{shown[-1].id}" if shown else None
        before = f"{name}_{shown[0].id}" if shown and page.counted and len(head) > len(shown) else None
        return shown, after, before
    if page.after is not None and not any(f"{name}_{item.id}" == page.after for item in items):
        return [], None, None
    shown = list(islice(items, page.limit + 1))
    more, shown = len(shown) > page.limit, shown[: page.limit]
    before = f"{name}_{shown[0].id}" if shown and page.counted and page.after else None
    return shown, f"{name}_{shown[-1].id}" if more else None, before


def listing(children: Sequence[Any], after: str | None = None, before: str | None = None) -> dict[str, Any]:
    """`children` are whole things: {"kind", "data"}."""
    data = {
        "after": after,
        "dist": len(children),
        "modhash": "",
        "geo_filter": "",
        "children": list(children),
        "before": before,
    }
    return {"kind": "Listing", "data": data}


def told_post(posts: Posts, post: Post, now: int, raw: bool) -> dict[str, Any]:
    crossposted = posts.find(post.crosspost_of) if post.crosspost_of else None
    return {"kind": "t3", "data": things.post(post, now, raw, crossposted)}


def told_comment(comment: Comment, now: int, raw: bool) -> dict[str, Any]:
    data = {**things.comment(comment, now, raw), **things.about_link(comment, now, raw)}
    return {"kind": "t1", "data": data}


def tree(known: Sequence[Comment], now: int, raw: bool, parent: str, depth: int = 0) -> list[Any]:
    """The comments under a thing, with `more` where there are too many or they lie too deep."""
    children = [one for one in known if one.parent == parent and one.state(now) != "missing"]
    if children and depth > DEEPEST:
        return [_more([], "_", parent, depth)]
    told = []
    for one in children[:BRANCH]:
        data = things.comment(one, now, raw, depth)
        below = tree(known, now, raw, f"t1_{one.id}", depth + 1)
        if below:
            inner = listing(below)
            inner["data"]["dist"] = None
            data["replies"] = inner
        told.append({"kind": "t1", "data": data})
    if len(children) > BRANCH:
        told.append(_more([one.id for one in children[BRANCH:]], children[BRANCH].id, parent, depth))
    return told


def _more(ids: list[str], id_: str, parent: str, depth: int) -> dict[str, Any]:
    data = {
        "count": len(ids),
        "name": f"t1_{id_}",
        "id": id_,
        "parent_id": parent,
        "depth": depth,
        "children": ids,
    }
    return {"kind": "more", "data": data}
