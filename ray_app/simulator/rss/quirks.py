"""What feeds of the real world get wrong, each as a fault that a test can ask for (R01 to R30).

Where it makes sense a quirk hits a share of the items (`share`, all by default); which ones hangs on
the item, so that it is hit again the next time.
"""

import gzip
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import timedelta
from urllib.parse import urlsplit

from ray_app.simulator.clock import instant
from ray_app.simulator.fault_answers import page
from ray_app.simulator.faults import Rule
from ray_app.simulator.noise import fraction
from ray_app.simulator.rss.items import Item, rfc822
from ray_app.simulator.wire import HTML, Reply

QUIRKS: Mapping[str, str] = {
    "R01": "feed: empty <description/>",
    "R02": "feed: titles in CDATA",
    "R03": "feed: titles with numeric entities (&#39;)",
    "R04": "feed: titles escaped twice (&amp;amp;)",
    "R05": "feed: CDATA around link, guid and pubDate",
    "R06": "feed: links with utm parameters and a fragment",
    "R07": "feed: the guid is the link and says that it is a permalink",
    "R08": "feed: no guid",
    "R09": "feed: no pubDate",
    "R10": "feed: garbage in pubDate",
    "R11": "feed: pubDate in the future: hours=5",
    "R12": "feed: another form of date: kind=gmt, est, short, iso or zoneless",
    "R13": "feed: items not in order",
    "R14": "feed: the same guid again with a new title",
    "R15": "feed: the same guid again with a new pubDate: minutes=90",
    "R16": "feed: the same story under a second URL: kind=amp, language or syndication",
    "R17": "feed: titles end with ' - Site name'",
    "R18": "feed: a sponsored item on top",
    "R19": "feed: a namespace prefix that nobody declared",
    "R20": "feed: XML that breaks off",
    "R21": "feed: the header says ISO-8859-1, the body is UTF-8",
    "R22": "feed: a byte order mark in front",
    "R23": "feed: one single item",
    "R24": "feed: no items",
    "R25": "feed: 200 with an HTML page",
    "R26": "feed: gzip that no header announces",
    "R27": "feed: 304 although nothing was asked conditionally",
    "R28": "feed: 301 to to=<URL> (the same path with https://moved.example.com by default)",
    "R29": "feed: 410, gone for good",
    "R30": "feed: hostile XML: kind=entities (they expand) or large (megabytes=6)",
}
DEFAULT_KIND = {"R12": "gmt", "R16": "amp", "R30": "entities"}
SPONSOR = "Sponsored: win a car with Example Casino"


def kind(rule: Rule) -> str:
    return rule.kind() or DEFAULT_KIND.get(rule.fault, "")


def change_items(items: list[Item], rule: Rule, site: str, now: int) -> list[Item]:
    """Items under a quirk that is a matter of items; others leave them as they are."""
    match rule.fault:
        case "R13":
            return sorted(items, key=lambda item: fraction(rule.seed, item.link))
        case "R14" | "R15" | "R16":
            return _twice(items, rule)
        case "R18":
            first = deepcopy(items[0]) if items else Item("", "", "", rfc822(now), now)
            first.title, first.link, first.guid = SPONSOR, "https://ads.example.com/casino", "sponsored-1"
            first.extra = [text.replace(">false<", ">true<") for text in first.extra]
            return [first, *items]
        case "R23":
            return items[:1]
        case "R24":
            return []
    one = CHANGES.get(rule.fault)
    if one is not None:
        for item in items:
            if fraction(rule.seed, rule.fault, item.link) < float(rule.value("share", 1)):
                one(item, rule, site)
    return items


def change_document(text: str, rule: Rule, path: str) -> Reply | None:
    """The whole answer under a quirk that is a matter of the document; None: an ordinary answer."""
    body, type_ = text.encode(), "application/rss+xml; charset=utf-8"
    match rule.fault:
        case "R19":
            return Reply(200, text.replace("</item>", "<geo:lat>1.5</geo:lat></item>").encode(), type_)
        case "R20":
            return Reply(200, body[: len(body) * 2 // 3], type_)
        case "R21":
            return Reply(200, body, "application/rss+xml; charset=ISO-8859-1")
        case "R22":
            return Reply(200, b"\xef\xbb\xbf" + body, type_)
        case "R25":
            return Reply(200, page("Just a moment...").encode(), HTML)
        case "R26":
            return Reply(200, gzip.compress(body, mtime=0), type_)
        case "R27":
            return Reply(304, b"", type_)
        case "R28":
            host_and_path = path.lstrip("/").partition("/")
            to = str(rule.value("to", f"https://moved.example.com/{host_and_path[2]}"))
            return Reply(301, b"", "text/html", [("Location", to)])
        case "R29":
            return Reply(410, page("410 Gone").encode(), HTML)
        case "R30" if kind(rule) == "large":
            filler = f"<!--{'x' * int(float(rule.value('megabytes', 6)) * 1_000_000)}-->"
            return Reply(200, text.replace("</channel>", f"{filler}</channel>").encode(), type_)
        case "R30":
            return Reply(200, _expanding(text).encode(), type_)
    return None


def _expanding(text: str) -> str:
    """Ten entities of ten entities each: a few bytes that want to become ten gigabytes."""
    lines = ['<!ENTITY a0 "aaaaaaaaaa">']
    lines += [f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10)]
    declared = f"<!DOCTYPE rss [{''.join(lines)}]>"
    return re.sub(r"<rss ", f"{declared}\n<rss ", text, count=1).replace(
        "<item><title>", "<item><title>&a9;", 1
    )


def _twice(items: list[Item], rule: Rule) -> list[Item]:
    """Each hit item is told again right after itself, changed."""
    told: list[Item] = []
    for item in items:
        told.append(item)
        if fraction(rule.seed, rule.fault, item.link) >= float(rule.value("share", 1)):
            continue
        again = deepcopy(item)
        told.append(again)
        if rule.fault == "R14":
            again.title = f"UPDATE: {item.title}"
        elif rule.fault == "R15":
            again.at = item.at + round(float(rule.value("minutes", 90)) * 60)
            again.date = rfc822(again.at)
        else:
            again.link = _second_url(item.link, kind(rule))
            again.guid = f"{item.guid}#2" if item.guid else None
    return told


def _second_url(url: str, why: str) -> str:
    parts = urlsplit(url)
    if why == "amp":
        return parts._replace(path=f"{parts.path.rstrip('/')}/amp").geturl()
    if why == "language":
        return parts._replace(path=f"/es{parts.path}").geturl()
    return parts._replace(netloc="syndicated.example.com").geturl()


def _date_form(item: Item, rule: Rule, _: str) -> None:
    moment = instant(item.at * 1000)
    match kind(rule):
        case "est":
            item.date = f"{moment - timedelta(hours=5):%a, %d %b %Y %H:%M:%S} EST"
        case "short":
            item.date = f"{moment:%d %b %y %H:%M:%S} +0000"
        case "iso":
            item.date = moment.isoformat()
        case "zoneless":
            item.date = f"{moment:%Y-%m-%d %H:%M:%S}"
        case _:
            item.date = f"{moment:%a, %d %b %Y %H:%M:%S} GMT"


def _set(**values: object) -> Callable[[Item, Rule, str], None]:
    def change(item: Item, _: Rule, __: str) -> None:
        for name, value in values.items():
            setattr(item, name, value)

    return change


def _titles_in_cdata(item: Item, _: Rule, __: str) -> None:
    item.cdata, item.title_form = item.cdata | {"title"}, "plain"


def _links_in_cdata(item: Item, _: Rule, __: str) -> None:
    item.cdata = item.cdata | {"link", "guid", "pubDate"}


def _counted_links(item: Item, _: Rule, __: str) -> None:
    item.link = f"{item.link.partition('?')[0]}?utm_source=rss&utm_medium=feed&utm_campaign=x#top"


def _permalinks(item: Item, _: Rule, __: str) -> None:
    item.guid, item.permalink = item.link.partition("?")[0], True


def _future(item: Item, rule: Rule, _: str) -> None:
    item.date = rfc822(item.at + round(float(rule.value("hours", 5)) * 3600))


def _site_names(item: Item, _: Rule, site: str) -> None:
    item.title = f"{item.title} - {site}"


CHANGES: Mapping[str, Callable[[Item, Rule, str], None]] = {
    "R01": _set(description=""),
    "R02": _titles_in_cdata,
    "R03": _set(title_form="numbers"),
    "R04": _set(title_form="double"),
    "R05": _links_in_cdata,
    "R06": _counted_links,
    "R07": _permalinks,
    "R08": _set(guid=None),
    "R09": _set(date=None),
    "R10": _set(date="yesterday, half past ten"),
    "R11": _future,
    "R12": _date_form,
    "R17": _site_names,
}
