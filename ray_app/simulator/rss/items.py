"""A feed's items as its outlet writes them, before they become XML: what quirks are done to."""

from dataclasses import dataclass, field
from email.utils import format_datetime

from ray_app.simulator.clock import instant
from ray_app.simulator.rss.feeds import COINTELEGRAPH, Feed
from ray_app.simulator.texts.articles import Told
from ray_app.simulator.texts.draw import base36
from ray_app.simulator.texts.world import Texts


@dataclass(slots=True)
class Item:
    """Texts as they are meant; `cdata` names the elements that are wrapped instead of escaped.

    None: the element is absent. A description or content of "" is an empty element.
    """

    title: str
    link: str
    guid: str | None
    date: str | None
    at: int
    permalink: bool = False
    description: str | None = None
    content: str | None = None
    creators: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)  # whole elements
    cdata: set[str] = field(default_factory=set)
    title_form: str = "plain"  # or entities, numbers, double


def items(feed: Feed, told: list[Told], texts: Texts) -> list[Item]:
    return [_item(feed, one, texts) for one in told]


def link(feed: Feed, told: Told, texts: Texts) -> str:
    """Where the article is, without anything that only counts clicks."""
    article, day = told.article, instant(told.article.published * 1000)
    match feed.dialect:
        case "coindesk":
            return f"https://www.coindesk.com/{article.categories[0].lower()}/{day:%Y/%m/%d}/{article.slug}"
        case "cointelegraph":
            return f"https://cointelegraph.com/news/{article.slug}"
        case "decrypt":
            other = texts.articles.written(COINTELEGRAPH, article.story) if article.syndicated else None
            if other is not None:
                return f"https://cointelegraph.com/news/{other.slug}"
            return f"https://decrypt.co/{article.number}/{article.slug}"
        case "theblock":
            return f"https://www.theblock.co/post/{article.number}/{article.slug}"
        case "cnbc":
            return f"https://www.cnbc.com/{day:%Y/%m/%d}/{article.slug}.html"
        case "marketwatch":
            return f"https://www.marketwatch.com/story/{article.slug}-{article.guid[:8]}"
        case "yahoo":
            return f"https://finance.yahoo.com/news/{article.slug}-{article.number}.html"
        case "fed":
            name = f"monetary{day:%Y%m%d}{base36(article.story % 240)}"
            return f"https://www.federalreserve.gov/newsevents/pressreleases/{name}.htm"
    return f"https://{feed.host}/{article.slug}/"


def _item(feed: Feed, told: Told, texts: Texts) -> Item:
    article, where = told.article, link(feed, told, texts)
    item = Item(told.title, where, article.guid, rfc822(told.date), told.date, description=article.summary)
    picture = f"https://cdn.example.com/{article.guid}.jpg"
    match feed.dialect:
        case "coindesk":
            item.cdata = {"title", "description"}
            item.description = "" if article.number % 10 < 3 else article.summary
            item.creators, item.categories = list(article.authors), list(article.categories)
            item.content = ""
            item.extra = [f'<media:content url="{picture}" type="image/*" medium="image"/>']
        case "cointelegraph":
            item.guid, item.permalink = where, True
            item.link = f"{where}?utm_source=rss_feed&utm_medium=rss&utm_campaign=rss_partner_inbound"
            image = f'<img style="float:right;margin:0 0 10px 15px;width:240px;" src="{picture}">'
            item.description = f"<p>{image}</p><p>{article.summary}</p>"
            item.cdata = {"link", "description"}
            item.creators = [f"Cointelegraph by {article.authors[0]}"]
            item.extra = [
                f'<enclosure url="{picture}" length="0" type="image/jpeg"/>',
                f'<media:content url="{picture}" medium="image"/>',
            ]
        case "decrypt":
            item.guid, item.permalink = where, True
            item.creators = list(article.authors[:1])
        case "theblock":
            item.guid = where
            item.link = f"{where}?utm_source=rss&utm_medium=rss"
            item.creators, item.categories = list(article.authors[:1]), list(article.categories)
        case "wordpress":
            item.guid = f"https://{feed.host}/?p={article.number}"
            item.title_form = "entities"
            foot = f'<p>The post <a href="{where}">{told.title}</a> appeared first on {feed.outlet.name}.</p>'
            item.description = f"<p>{article.summary} [&#8230;]</p>{foot}"
            item.content = "".join(f"<p>{text}</p>\n" for text in article.paragraphs) + foot
            item.creators, item.categories = list(article.authors[:1]), list(article.categories)
            item.cdata = {"description", "content", "creator", "category"}
        case "cnbc":
            item.guid = str(article.number)
            item.date, item.cdata = gmt(told.date), {"title", "description"}
            item.extra = [
                "<metadata:type>cnbcnewsstory</metadata:type>",
                f"<metadata:id>{article.number}</metadata:id>",
                f"<metadata:sponsored>{str(article.sponsored).lower()}</metadata:sponsored>",
            ]
        case "marketwatch":
            item.link = f"{where}?mod=mw_rss_topstories"
            item.date, item.creators = gmt(told.date), list(article.authors)
        case "yahoo":
            item.link = f"{where}?.tsrc=rss"
            item.guid = f"{article.slug}-{article.number}.html"
            item.date = instant(told.date * 1000).strftime("%Y-%m-%dT%H:%M:%SZ")
            item.description = None
            item.extra = [f'<media:content url="{picture}" height="86" width="130"/>']
        case "fed":
            item.guid, item.permalink = where, True
            item.date = gmt(told.date)
            item.cdata = {"link", "guid", "pubDate", "description"}
            item.categories = ["Monetary Policy"]
    return item


def rfc822(seconds: int) -> str:
    """`Fri, 20 Nov 2026 10:11:51 +0000`."""
    return format_datetime(instant(seconds * 1000))


def gmt(seconds: int) -> str:
    """The same with `GMT` at its end; HTTP dates too."""
    return format_datetime(instant(seconds * 1000), usegmt=True)
