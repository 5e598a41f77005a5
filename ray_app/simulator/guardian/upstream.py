"""content.guardianapis.com. Without `from-date` a search looks back fourteen days, else at most four hundred."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_app.simulator.clock import instant, moment
from ray_app.simulator.faults import Rule
from ray_app.simulator.guardian import query
from ray_app.simulator.guardian.content import (
    GUARDIAN,
    SECTIONS,
    TAGS,
    content,
    id_of,
    iso,
    kind,
    plain,
    section,
    tag,
    tags,
)
from ray_app.simulator.guardian.query import DAY, Search
from ray_app.simulator.noise import fraction
from ray_app.simulator.quota import Fixed, Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.texts.articles import SLOWEST_EDIT, Article, Told
from ray_app.simulator.texts.world import texts
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import JSON, Rejection, Reply

A_DAY, A_SECOND = 500, 1
USUAL, MOST = 14 * DAY, 400 * DAY
OVER = Reply(429, b'{"message":"API rate limit exceeded"}')
FAULTS = {
    "G01": "Guardian: 410, the item has expired",
    "G02": "Guardian: 400, does not support paging this far",
    "G03": "Guardian: fields are missing: share=0.5, field=<name>",
    "G04": "Guardian: 302 to another host",
    "G05": "Guardian: webPublicationDate moved forward: minutes=30",
}


class Guardian:
    name, prefix = "guardian", "/guardian"
    secret_params = frozenset({"api-key"})
    own_faults = FAULTS

    def __init__(self, simulation: Simulation) -> None:
        self._articles = texts(simulation).articles
        self._day, self._second = Fixed(A_DAY, DAY * 1000), Rolling(A_SECOND, 1000)

    def limit(self, asked: Asked) -> Reply | None:
        """Per key; the day is one of UTC."""
        who = asked.params.get("api-key", "")
        over = [count.arrive(who, asked.now_ms) for count in (self._day, self._second)]
        return OVER if any(over) else None

    def lower(self, per_minute: int) -> None:
        self._second = Rolling(per_minute, 60_000)

    def answer(self, asked: Asked) -> Reply:
        if asked.params.get("api-key") != "sim-key":
            raise Rejection(401, '{"message":"Unauthorized"}', JSON)
        path, now = asked.path.strip("/"), asked.now_ms // 1000
        if path == "search":
            return self._search(query.read(asked.params), now)
        if path == "sections":
            rows = [{"id": one, "webTitle": name} for one, name in SECTIONS.items()]
            return _ok({"total": len(rows), "results": rows})
        if path == "tags":
            return _paged([tag(one) for one in TAGS], query.read({**asked.params, "q": ""}), {})
        if path.startswith("content/"):
            return self._following(path, asked.params, now)
        if path in SECTIONS or path in TAGS:
            head = (
                {"section": {"id": path, "webTitle": SECTIONS[path]}}
                if path in SECTIONS
                else {"tag": tag(path)}
            )
            name = "section" if path in SECTIONS else "tag"
            return self._search(query.read({**asked.params, name: path}), now, head)
        search = query.read(asked.params)
        told = self._item(path, now)
        return _ok({"total": 1, "content": content(told, search.fields, search.show_tags)})

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        match rule.fault:
            case "F01":
                return Reply(429, OVER.body, headers=[("Retry-After", str(rule.value("retry_after", 7)))])
            case "F02" | "F09":
                return OVER
            case "F08" | "F22":
                raise Rejection(401, '{"message":"Unauthorized"}', JSON)
            case "G01":
                raise query.refused(410, query.EXPIRED)
            case "G02":
                raise query.refused(400, query.TOO_DEEP)
            case "G04":
                return Reply(302, b"", headers=[("Location", f"https://moved.example.com{asked.path}")])
            case "G03" | "G05":
                return _changed(self.answer(asked), rule)
        return None

    def truth(self, params: Mapping[str, str]) -> Any:
        """Articles first published in [from, to), oldest first."""
        start, end = (round(moment(params[name]).timestamp()) for name in ("from", "to"))
        return [
            {
                "id": id_of(article),
                "published": iso(article.published),
                "title": article.first_title,
                "later_title": article.later_title,
                "updated": article.updated and iso(article.updated),
                "redated": article.redated,
                "taken_down": article.taken_down and iso(article.taken_down),
                "section": section(article),
                "about": article.about,
                "tone": article.tone,
            }
            for article in self._articles.between(GUARDIAN, start, end)
        ]

    def _item(self, id_: str, now: int) -> Told:
        """Raises Rejection: 404, or 410 for what was taken down."""
        article = self._lookup(id_)
        if article is None or article.published > now:
            raise query.refused(404, query.NOT_FOUND)
        if not article.is_up(now):
            raise query.refused(410, query.EXPIRED)
        return article.as_of(now)

    def _lookup(self, id_: str) -> Article | None:
        found = re.fullmatch(r"[a-z]+/(\d{4})/([a-z]{3})/(\d\d)/[a-z0-9-]+", id_)
        months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        if found is None or found[2] not in months:
            return None
        try:
            day = moment(f"{found[1]}-{months.index(found[2]) + 1:02d}-{found[3]}")
        except ValueError:
            return None
        start = int(day.timestamp())
        of_that_day = self._articles.between(GUARDIAN, start, start + DAY)
        return next((article for article in of_that_day if id_of(article) == id_), None)

    def _search(self, search: Search, now: int, head: Mapping[str, Any] | None = None) -> Reply:
        return _paged(self._found(search, now), search, head or {})

    def _following(self, path: str, params: Mapping[str, str], now: int) -> Reply:
        """`content/<id>/next` or `prev`: the same search from that item on, whatever the page."""
        id_, _, way = path.removeprefix("content/").rpartition("/")
        search = query.read({**params, "page": "1"})
        if way not in ("next", "prev"):
            raise query.refused(404, query.NOT_FOUND)
        found = self._found(search, now)
        place = next((i for i, item in enumerate(found) if item["id"] == id_), None)
        if place is None:
            raise query.refused(404, query.NOT_FOUND)
        rest = found[place + 1 :] if way == "next" else found[:place][-search.size :]
        return _paged(rest, search, {})

    def _found(self, search: Search, now: int) -> Sequence[Any]:
        """Everything that fits, in order; built as far as it is looked at."""
        if search.ids:
            known = [article for id_ in search.ids if (article := self._lookup(id_)) is not None]
        else:
            end = min(now + 1, search.end if search.end is not None else now + 1)
            start = max(end - MOST, search.start if search.start is not None else now - USUAL)
            known = self._articles.between(GUARDIAN, start - SLOWEST_EDIT, end)
        told = [article.as_of(now) for article in known if article.is_up(now)]
        date = _dated(search.use_date)
        told = [
            one
            for one in told
            if (search.start is None or date(one) >= search.start)
            and (search.end is None or date(one) < search.end)
            and _fits(one, search)
        ]
        told.sort(key=lambda one: (date(one), one.article.story), reverse=search.order != "oldest")
        return _Contents(told, search)


class _Contents(Sequence[Any]):
    """Articles that become JSON only when they are on the page."""

    def __init__(self, told: list[Told], search: Search) -> None:
        self._told, self._search = told, search

    def __len__(self) -> int:
        return len(self._told)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [content(one, self._search.fields, self._search.show_tags) for one in self._told[at]]
        return content(self._told[at], self._search.fields, self._search.show_tags)


def _dated(name: str) -> Callable[[Told], int]:
    match name:
        case "first-publication":
            return lambda told: told.article.published
        case "last-modified":
            return lambda told: told.changed
    return lambda told: told.date


def _fits(told: Told, search: Search) -> bool:
    article = told.article
    return (
        (not search.sections or section(article) in search.sections)
        and all(any(name in tags(article) for name in one) for one in search.tags)
        and (not search.kinds or kind(article) in search.kinds)
        and (search.matches is None or search.matches(plain(told)))
    )


def _paged(rows: Sequence[Any], search: Search, head: Mapping[str, Any]) -> Reply:
    pages = -(-len(rows) // search.size) if search.size else 0
    if search.page > max(1, pages):
        raise query.refused(400, query.BEYOND)
    first = (search.page - 1) * search.size
    return _ok(
        {
            "total": len(rows),
            "startIndex": first + 1 if rows else 0,
            "pageSize": search.size,
            "currentPage": search.page,
            "pages": pages,
            "orderBy": search.order,
            **head,
            "results": list(rows[first : first + search.size]),
        }
    )


def _ok(rest: Mapping[str, Any]) -> Reply:
    body = {"response": {"status": "ok", "userTier": "developer", **rest}}
    return Reply(200, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())


def _changed(reply: Reply, rule: Rule) -> Reply:
    body = json.loads(reply.body)
    for item in body["response"].get("results", [body["response"].get("content")]):
        if rule.fault == "G05":
            later = moment(item["webPublicationDate"]).timestamp() + float(rule.value("minutes", 30)) * 60
            item["webPublicationDate"] = f"{instant(round(later) * 1000):%Y-%m-%dT%H:%M:%SZ}"
            continue
        for name in list(item.get("fields", {})):
            wanted = rule.value("field", None) in (None, name)
            drawn = fraction(rule.seed, item["id"], name)
            if wanted and drawn < float(rule.value("share", 0.5 if rule.value("field", None) is None else 1)):
                del item["fields"][name]
    return Reply(200, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())
