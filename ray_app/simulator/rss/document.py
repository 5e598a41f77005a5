"""Items as an RSS 2.0 document."""

import html
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from ray_app.simulator.rss.feeds import Feed
from ray_app.simulator.rss.items import Item, gmt, rfc822

NAMESPACES = {
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "media": "http://search.yahoo.com/mrss/",
    "metadata": "http://search.cnbc.com/rss/2.0/modules/siteContentMetadata",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
}
USED = {
    "coindesk": ("atom", "content", "dc", "media"),
    "cointelegraph": ("atom", "dc", "media"),
    "decrypt": ("atom", "dc"),
    "theblock": ("atom", "dc"),
    "wordpress": ("atom", "content", "dc", "sy"),
    "cnbc": ("media", "metadata"),
    "marketwatch": ("dc",),
    "yahoo": ("media",),
    "fed": (),
}
GENERATED = {"wordpress": "https://wordpress.org/?v=6.8.3"}


def document(feed: Feed, items: Iterable[Item], changed: int) -> str:
    """`changed`: when anything in it last changed, seconds since 1970."""
    declared = "".join(f' xmlns:{name}="{NAMESPACES[name]}"' for name in USED[feed.dialect])
    site = f"https://{feed.host}/"
    head = [
        _element("title", feed.outlet.name),
        _element("link", site),
        _element("description", f"News from {feed.outlet.name}"),
        _element("language", "en-US"),
        _element("lastBuildDate", gmt(changed) if feed.dialect in ("cnbc", "fed") else rfc822(changed)),
    ]
    if "atom" in USED[feed.dialect]:
        own = quoteattr(f"https://{feed.host}{feed.paths[0]}")
        head.append(f'<atom:link href={own} rel="self" type="application/rss+xml"/>')
    if feed.dialect in GENERATED:
        head += [
            _element("generator", GENERATED[feed.dialect]),
            "<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>1</sy:updateFrequency>",
        ]
    if feed.age >= 60:
        head.append(_element("ttl", str(feed.age // 60)))
    told = "\n".join(_item(item) for item in items)
    top = "\n".join(head)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"{declared}>\n'
        f"<channel>\n{top}\n{told}\n</channel>\n</rss>\n"
    )


def _item(item: Item) -> str:
    lines = [_title(item), _element("link", item.link, "link" in item.cdata)]
    if item.guid is not None:
        told = str(item.permalink).lower()
        lines.append(_element("guid", item.guid, "guid" in item.cdata, f' isPermaLink="{told}"'))
    if item.date is not None:
        lines.append(_element("pubDate", item.date, "pubDate" in item.cdata))
    if item.description is not None:
        lines.append(_element("description", item.description, "description" in item.cdata))
    lines += [_element("dc:creator", name, "creator" in item.cdata) for name in item.creators]
    lines += [_element("category", name, "category" in item.cdata) for name in item.categories]
    lines += item.extra
    if item.content is not None:
        lines.append(_element("content:encoded", item.content, "content" in item.cdata))
    return f"<item>{''.join(lines)}</item>"


def _title(item: Item) -> str:
    match item.title_form:
        case "entities":  # as WordPress does: typographic quotes and the ampersand by number
            told = escape(item.title.replace("&", "\0").replace("'", "\1"))
            return f"<title>{told.replace(chr(0), '&#038;').replace(chr(1), '&#8217;')}</title>"
        case "numbers":
            return f"<title>{html.escape(item.title).replace('&#x27;', '&#39;')}</title>"
        case "double":
            return f"<title>{escape(escape(escape(item.title)))}</title>"
    return _element("title", item.title, "title" in item.cdata)


def _element(name: str, text: str, wrapped: bool = False, attributes: str = "") -> str:
    if not text:
        return f"<{name}{attributes}/>"
    inner = f"<![CDATA[{text}]]>" if wrapped else escape(text)
    return f"<{name}{attributes}>{inner}</{name}>"
