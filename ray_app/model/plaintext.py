"""Plain text, addresses and ids of what people write: HTML taken off, trackers dropped, long ids shortened.

Everything here takes any text and ends in time that grows with its length: no HTML parser with a stack,
no pattern that goes back over what it has read.
"""

import re
import unicodedata
from hashlib import sha256
from html import unescape
from urllib.parse import urlsplit

LONGEST_ID = 190  # what both databases can have in a key

# What a browser's tokenizer does, in one pass: a quote counts only after "=", and what is never closed
# reaches to the end.
_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(script|style|template|noscript)\b.*?(?:</\1\b[^>]*(?:>|\Z)|\Z)"
    r"|<[!?][^>]*(?:>|\Z)"
    r"|</?([a-z][a-z0-9]*)(?:[^>=]|=[ \t\r\n]*+(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z))?)*+(?:>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_NEW_LINE = {
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption", "figure",
    "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section",
    "table", "td", "th", "tr", "ul",
}  # fmt: skip
_TWICE = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#x[0-9a-f]{1,6});", re.IGNORECASE)
_INVISIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\ufeff]")
_SPACES = re.compile(r"[^\S\n]+")
_EMPTY_LINES = re.compile(r"\n{3,}")

TRACKERS = {
    ".tsrc", "__source", "_hsenc", "_hsmi", "cmp", "cmpid", "dclid", "fbclid", "gbraid", "gclid", "gclsrc",
    "guce_referrer", "guce_referrer_sig", "guccounter", "igshid", "mc_cid", "mc_eid", "mkt_tok", "msclkid",
    "ncid", "s_kwcid", "ttclid", "twclid", "wbraid", "yclid",
}  # fmt: skip
_PORTS = {"http": ":80", "https": ":443"}
_OUTLET = re.compile(r"\s[-–—|]\s(?:\S+\s){0,2}\S+$")
_LEAST_WORDS = 3
_BETWEEN_DIGITS = re.compile(r"(?<=\d),(?=\d{3})")
_NO_WORD = re.compile(r"[^\w$%.]+|(?<!\d)\.|\.(?!\d)|_")


def html_to_text(html: str) -> str:
    """The text of HTML (or of plain text): tags gone, blocks on lines of their own, entities read.

    An entity that is still there was escaped twice, as many feeds do, and is read once more.
    """
    return tidied(unescape(_TAG.sub(lambda tag: "\n" if (tag[2] or "").lower() in _NEW_LINE else "", html)))


def tidied(text: str) -> str:
    """Plain text with its entities read, without what nobody sees: control marks, runs of spaces."""
    text = _TWICE.sub(lambda entity: unescape(entity[0]), text)
    text = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def one_line(html: str) -> str:
    """The text of HTML on one line: titles and names."""
    return " ".join(html_to_text(html).split())


def canonical_url(url: str) -> str | None:
    """The address without what does not change the page: trackers, fragment, default port, final slash.

    Scheme and host in lower case, no user and password. None for what is no address of a web page.
    """
    try:
        parts = urlsplit(url.strip())
        scheme, host, port = parts.scheme.lower(), (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return None
    if scheme not in _PORTS or not host or any(c.isspace() or c < " " for c in url.strip()):
        return None
    host = f"[{host}]" if ":" in host else host
    if port is not None and f":{port}" != _PORTS[scheme]:
        host += f":{port}"
    kept = [part for part in parts.query.split("&") if part and not _tracks(part.partition("=")[0].lower())]
    return f"{scheme}://{host}{parts.path.rstrip('/')}{'?' if kept else ''}{'&'.join(kept)}"


def _tracks(name: str) -> bool:
    return name.startswith("utm_") or name in TRACKERS


def short_id(text: str) -> str:
    """The id itself if it can be part of a key, else its SHA-256. ValueError for an empty one."""
    text = text.strip()
    if not text:
        raise ValueError("an empty id")
    return text if len(text) <= LONGEST_ID else sha256(text.encode()).hexdigest()


def same_title(title: str) -> str:
    """What the same story's titles have in common across outlets: words and numbers in one spelling.

    A final " - Outlet" of up to three words is left out where three and more stay. Two titles that are
    equal in this form are near-duplicates; "" is equal to nothing.
    """
    text = unicodedata.normalize("NFKC", one_line(title))[:1000]
    shorter = _OUTLET.sub("", text)
    if len(shorter.split()) >= _LEAST_WORDS:
        text = shorter
    text = _BETWEEN_DIGITS.sub("", text.casefold()).replace("'", "").replace("’", "")
    return " ".join(_NO_WORD.sub(" ", text).split())
