"""oauth.reddit.com. Every answer but a page of HTML tells how much of the ten minutes is left."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from ray_app.simulator.clock import moment
from ray_app.simulator.fault_answers import page as html_page
from ray_app.simulator.faults import Rule
from ray_app.simulator.reddit import listings, things
from ray_app.simulator.reddit.access import access, library_limit, ok, refused, too_many
from ray_app.simulator.reddit.listings import Page
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.texts.posts import BY_NAME, Post
from ray_app.simulator.texts.world import texts
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import HTML, Rejection, Reply

INVALID = ("www-authenticate", 'Bearer realm="reddit", error="invalid_token"')
CLOSED: Mapping[str, tuple[int, str]] = {
    "simprivate": (403, "private"),
    "simgated": (403, "gated"),
    "simquarantined": (403, "quarantined"),
    "simgold": (403, "gold_only"),
    "simbanned": (404, "banned"),
}
FAULTS = {
    "D02": "Reddit: no x-ratelimit headers",
    "D03": "Reddit: `after` leads back to the same page for ever",
    "D04": "Reddit: an empty listing",
    "D05": "Reddit: a subreddit is closed: sub=..., reason=private (also as a member of several)",
    "D06": "Reddit: 403 as a page of HTML, from the edge",
    "D07": "Reddit: 503, empty under gzip",
    "D08": "Reddit: 451, JSON with nothing in it",
    "D09": "Reddit: every post or comment is gone: state=user, moderator, account or missing",
}


class Reddit:
    name, prefix = "reddit", "/reddit"
    secret_params: frozenset[str] = frozenset()
    own_faults = FAULTS

    def __init__(self, simulation: Simulation) -> None:
        self._posts, self._access = texts(simulation).posts, access(simulation)
        self._limits = simulation.limits
        self._closed = dict(CLOSED)

    def limit(self, asked: Asked) -> Reply | None:
        """Per client; a call without a good token counts for none."""
        over = library_limit(self._access, asked)
        if over is not None or not self._access.holds(asked):
            return over
        if self._access.count.arrive("sim-id", asked.now_ms):
            reply = refused(429, "Too Many Requests").reply()
            return Reply(reply.status, reply.body, headers=self._told_limits(asked.now_ms))
        return None

    def lower(self, per_minute: int) -> None:
        self._access.count.limit = per_minute * 10

    def answer(self, asked: Asked) -> Reply:
        return self._with_limits(asked, lambda: self._answer(asked, self._closed))

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        match rule.fault:
            case "F01" | "F02" | "F03":
                return too_many(rule)
            case "F08" | "F22":
                raise refused(401, "Unauthorized", headers=(INVALID,))
            case "D02":
                return self._answer(asked, self._closed)
            case "D05":
                shut = {str(rule.value("sub", "")).lower(): (403, str(rule.value("reason", "private")))}
                return self._with_limits(asked, lambda: self._answer(asked, {**self._closed, **shut}))
            case "D06":
                return Reply(403, html_page("Prove your humanity").encode(), HTML)
            case "D07":
                return Reply(503, b"", HTML, [("Content-Encoding", "gzip")])
            case "D08":
                return Reply(451, b"")
            case "D03" | "D04" | "D09":
                return self._with_limits(asked, lambda: self._changed(asked, rule))
        return None

    def adjust(self, settings: Mapping[str, Any]) -> Any:
        """`expires_in` in seconds for tokens to come; `closed`: {subreddit: private, gated, banned ... or null}."""
        if unknown := set(settings) - {"expires_in", "closed"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        self._access.expires_in = int(settings.get("expires_in", self._access.expires_in))
        for name, reason in dict(settings.get("closed", {})).items():
            if reason is None:
                self._closed.pop(name.lower(), None)
            else:
                self._closed[name.lower()] = (404 if reason == "banned" else 403, str(reason))
        return {
            "expires_in": self._access.expires_in,
            "closed": {name: why for name, (_, why) in self._closed.items()},
        }

    def truth(self, params: Mapping[str, str]) -> Any:
        """Posts of a subreddit (`sub`) written in [from, to), oldest first, with what becomes of them."""
        start, end = (math.ceil(moment(params[name]).timestamp()) for name in ("from", "to"))
        return [
            {
                "id": post.id,
                "created_utc": post.at,
                "author": post.author,
                "title": post.title,
                "text": post.text,
                "edited": post.edited,
                "edited_text": post.edited_text,
                "ends": post.ends,
                "ended": post.ended,
                "about": post.about,
                "tone": post.tone,
            }
            for post in self._posts.between(BY_NAME[params["sub"].lower()], start, end)
        ]

    def _with_limits(self, asked: Asked, answering: Callable[[], Reply]) -> Reply:
        """Both good answers and refusals carry the headers, as long as the token was good."""
        if not self._access.holds(asked):
            raise refused(401, "Unauthorized", headers=(INVALID,))
        told = self._told_limits(asked.now_ms)
        try:
            reply = answering()
        except Rejection as rejected:
            headers = (*rejected.headers, *told)
            raise Rejection(rejected.status, rejected.body, rejected.content_type, headers) from None
        reply.headers += told
        return reply

    def _told_limits(self, now_ms: int) -> list[tuple[str, str]]:
        count = self._access.count
        used = count.used("sim-id", now_ms) if self._limits.enforced else 1
        return [
            ("x-ratelimit-used", str(used)),
            ("x-ratelimit-remaining", f"{max(0, count.limit - used)}.0"),
            ("x-ratelimit-reset", str(-(-count.left_ms(now_ms) // 1000))),
        ]

    def _answer(self, asked: Asked, closed: Mapping[str, tuple[int, str]]) -> Reply:
        if not self._access.holds(asked):
            raise refused(401, "Unauthorized", headers=(INVALID,))
        page, now, params = Page.read(asked.params), asked.now_ms // 1000, asked.params
        if asked.path == "/api/info":
            return ok(listings.listing(self._info(params.get("id", ""), now, page.raw)))
        if asked.path == "/api/morechildren" and asked.method == "POST":
            return self._more(asked, now, page.raw)
        if asked.method != "GET":
            raise refused(404, "Not Found")
        found = re.fullmatch(r"(?:/r/[^/]+)?/comments/([a-z0-9]+)(?:/.*)?", asked.path)
        if found:
            return self._tree(found[1], now, page.raw)
        found = re.fullmatch(r"/r/([^/]+)/(new|hot|rising|top|search|comments)/?", asked.path)
        if found is None:
            raise refused(404, "Not Found")
        subs = _subs(found[1], closed)
        return self._listing(subs, found[2], params, page, now)

    def _listing(
        self, subs: Sequence[int], order: str, params: Mapping[str, str], page: Page, now: int
    ) -> Reply:
        raw = page.raw
        if order == "comments":
            shown, after, before = listings.paged(iter(listings.comments(self._posts, subs, now)), page, "t1")
            return ok(
                listings.listing([listings.told_comment(one, now, raw) for one in shown], after, before)
            )
        items: Iterator[Post] = listings.newest(self._posts, subs, now)
        if order in ("hot", "rising", "top"):
            items = iter(listings.ranked(self._posts, subs, now, order, params.get("t", "day")))
        elif order == "search":
            if len(params.get("q", "")) > 512:
                raise refused(400, "Bad Request")
            words = params.get("q", "").lower().split()
            if params.get("sort", "relevance") == "top":
                items = iter(listings.ranked(self._posts, subs, now, "top", params.get("t", "all")))
            items = (one for one in items if all(word in f"{one.title} {one.text}".lower() for word in words))
        shown, after, before = listings.paged(items, page, "t3")
        told = listings.listing(
            [listings.told_post(self._posts, one, now, raw) for one in shown], after, before
        )
        if order == "search":
            told["data"]["facets"] = {}
        return ok(told)

    def _info(self, ids: str, now: int, raw: bool) -> list[Any]:
        """Things by their full names, at most a hundred; what is not there is left out."""
        found: list[Any] = []
        for name in ids.split(",")[: listings.MOST]:
            kind, _, id_ = name.partition("_")
            if kind == "t3":
                post = self._posts.find(id_)
                if post is not None and post.at <= now and post.state(now) != "missing":
                    found.append(listings.told_post(self._posts, post, now, raw))
            elif kind == "t1":
                comment = self._posts.find_comment(id_)
                if comment is not None and comment.at <= now and comment.state(now) != "missing":
                    found.append(listings.told_comment(comment, now, raw))
        return found

    def _tree(self, id_: str, now: int, raw: bool) -> Reply:
        post = self._posts.find(id_)
        if post is None or post.at > now or post.state(now) == "missing":
            raise refused(404, "Not Found")
        below = listings.tree(self._posts.comments(post, now), now, raw, f"t3_{id_}")
        head = listings.listing([listings.told_post(self._posts, post, now, raw)])
        rest = listings.listing(below)
        rest["data"]["dist"] = None
        return ok([head, rest])

    def _more(self, asked: Asked, now: int, raw: bool) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(asked.body.decode("latin-1")).items()}
        names = ",".join(f"t1_{id_}" for id_ in form.get("children", "").split(",") if id_)
        return ok({"json": {"errors": [], "data": {"things": self._info(names, now, raw)}}})

    def _changed(self, asked: Asked, rule: Rule) -> Reply:
        """A listing under one of the faults D03, D04 and D09."""
        body = json.loads(self._answer(asked, self._closed).body)
        if rule.fault == "D03":
            body = rule.memory.setdefault(f"{asked.path} {asked.params.get('limit')}", body)
        for one in body if isinstance(body, list) else [body]:
            inside = one.get("data", {})
            children = inside.get("children", [])
            if rule.fault == "D03" and children:
                inside["after"] = children[-1]["data"]["name"]
            elif rule.fault == "D04":
                inside.update(children=[], dist=0, after=None, before=None)
            elif rule.fault == "D09":
                inside["children"] = [
                    gone
                    for child in children
                    if (gone := things.gone(child, str(rule.value("state", "user"))))
                ]
        return ok(body)


def _subs(names: str, closed: Mapping[str, tuple[int, str]]) -> list[int]:
    """Indexes of `a+b`. Raises Rejection for all of them when one is closed or does not exist."""
    found = []
    for name in names.lower().split("+"):
        if name in closed:
            status, reason = closed[name]
            raise refused(status, "Not Found" if status == 404 else "Forbidden", reason)
        if name not in BY_NAME:
            to = f"https://oauth.reddit.com/subreddits/search?q={name}"
            raise Rejection(302, "{}", headers=(("Location", to),))
        found.append(BY_NAME[name])
    return found
