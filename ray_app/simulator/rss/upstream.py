"""Every host that serves feeds, under `/web/<host>/<path>`; www.sec.gov, which EDGAR answers for, too."""

import hashlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from ray_app.simulator.clock import instant, moment
from ray_app.simulator.edgar.upstream import WWW, Edgar
from ray_app.simulator.fault_answers import page
from ray_app.simulator.faults import Rule
from ray_app.simulator.rss.document import document
from ray_app.simulator.rss.feeds import Feed, find
from ray_app.simulator.rss.items import gmt, items, link
from ray_app.simulator.rss.quirks import QUIRKS, change_document, change_items
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.texts.articles import Told
from ray_app.simulator.texts.world import texts
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import HTML, Rejection, Reply

TYPES = {
    "wordpress": "application/rss+xml; charset=UTF-8",
    "fed": "text/xml",
    "cnbc": "text/xml;charset=UTF-8",
}


class Web:
    """No keys, and no quotas but EDGAR's; a host that nobody knows answers 404."""

    name, prefix = "web", "/web"
    secret_params: frozenset[str] = frozenset()
    own_faults = QUIRKS

    def __init__(self, simulation: Simulation) -> None:
        self._texts = texts(simulation)
        self._edgar = Edgar(simulation)

    def limit(self, asked: Asked) -> Reply | None:
        return self._edgar.limit(asked) if asked.path.startswith(f"{WWW}/") else None

    def answer(self, asked: Asked) -> Reply:
        if asked.path.startswith(f"{WWW}/"):
            return self._edgar.www(asked)
        feed, about = self._feed(asked)
        return self._reply(feed, *self._document(feed, about, asked, None), asked)

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        if rule.fault not in QUIRKS or asked.path.startswith(f"{WWW}/"):
            return None
        feed, about = self._feed(asked)
        text, changed = self._document(feed, about, asked, rule)
        whole = change_document(text, rule, asked.path)
        if whole is not None:
            return whole
        return self._reply(feed, text, changed, asked)

    def truth(self, params: Mapping[str, str]) -> Any:
        """Articles of a feed (`feed=<host>/<path>`) first published in [from, to), oldest first."""
        host, _, path = params["feed"].partition("/")
        found = find(host, f"/{path.partition('?')[0]}", params.get("id", ""), params.get("s", ""))
        if found is None:
            raise ValueError(f"no feed {params['feed']!r}")
        feed, about = found
        start, end = (round(moment(params[name]).timestamp()) for name in ("from", "to"))
        return [
            {
                "story": article.story,
                "published": _iso(article.published),
                "title": article.first_title,
                "later_title": article.later_title,
                "updated": _iso(article.updated),
                "redated": article.redated,
                "taken_down": _iso(article.taken_down),
                "link": link(feed, article.as_of(article.published), self._texts),
                "about": article.about,
                "tone": article.tone,
                "sponsored": article.sponsored,
            }
            for article in self._texts.articles.between(feed.outlet, start, end)
            if about is None or article.about.lower() == about.lower()
        ]

    def _reply(self, feed: Feed, text: str, changed: int, asked: Asked) -> Reply:
        headers = _validators(feed, text, changed, asked.number)
        if feed.age:
            headers["Cache-Control"] = f"public, max-age={feed.age}"
        if _is_known(asked.headers, headers):
            return Reply(304, b"", headers=list(headers.items()))
        return Reply(
            200, text.encode(), TYPES.get(feed.dialect, "application/rss+xml"), list(headers.items())
        )

    def _feed(self, asked: Asked) -> tuple[Feed, str | None]:
        host, _, path = asked.path.lstrip("/").partition("/")
        found = find(host, f"/{path}", asked.params.get("id", ""), asked.params.get("s", ""))
        if found is None:
            raise Rejection(404, page("404 Not Found"), HTML)
        if found[0].browsers_only and "Mozilla/" not in asked.headers.get("user-agent", ""):
            raise Rejection(403, page("Attention Required! | Cloudflare"), HTML)
        return found

    def _document(self, feed: Feed, about: str | None, asked: Asked, rule: Rule | None) -> tuple[str, int]:
        """The feed's text as the server's copy has it, and when it last changed (seconds since 1970)."""
        now = asked.now_ms // 1000
        if feed.age:
            now -= now % feed.age
        told: list[Told] = self._texts.articles.newest(feed.outlet, now, feed.items, about)
        changed = max((one.changed for one in told), default=now - now % 86_400)
        written = items(feed, told, self._texts)
        if rule is not None:
            written = change_items(written, rule, feed.outlet.name, now)
        return document(feed, written, changed), changed


def _validators(feed: Feed, text: str, changed: int, number: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    if feed.validators in ("both", "etag"):
        node = f"-e{number % feed.edges}" if feed.edges > 1 else ""
        headers["ETag"] = f'W/"{digest}{node}"'
    if feed.validators in ("both", "modified"):
        headers["Last-Modified"] = gmt(changed)
    return headers


def _is_known(asked: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    """Does the caller's validator fit? An ETag goes before a date, as HTTP says."""
    if "ETag" in headers and "if-none-match" in asked:
        return headers["ETag"] in asked["if-none-match"]
    if "Last-Modified" in headers and "if-modified-since" in asked:
        try:
            since = parsedate_to_datetime(asked["if-modified-since"])
        except ValueError:
            return False
        return since >= parsedate_to_datetime(headers["Last-Modified"])
    return False


def _iso(seconds: int | None) -> str | None:
    return None if seconds is None else instant(seconds * 1000).isoformat()
