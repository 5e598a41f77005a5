"""Posts (t3) and comments (t1) as the API tells them at a moment, in any of their later states.

| state | author | text |
|---|---|---|
| the account was deleted | [deleted] | kept |
| deleted by its author | [deleted] | [deleted] |
| removed by moderators | post: kept, comment: [deleted] | [removed] |

Titles are kept in every state.
"""

from html import escape
from typing import Any

from ray_app.simulator.texts.posts import Comment, Post, Written

GONE, TAKEN_OUT = "[deleted]", "[removed]"
REMOVED_BY = {"user": "deleted", "moderator": "moderator"}
# What is the same for everybody who only reads.
COMMON: dict[str, Any] = {
    "all_awardings": [], "approved_at_utc": None, "approved_by": None, "archived": False,
    "author_flair_background_color": None, "author_flair_css_class": None, "author_flair_template_id": None,
    "author_flair_text": None, "author_flair_text_color": None, "author_is_blocked": False, "awarders": [],
    "banned_at_utc": None, "banned_by": None, "can_gild": False, "can_mod_post": False, "distinguished": None,
    "downs": 0, "gilded": 0, "gildings": {}, "likes": None, "locked": False, "mod_note": None,
    "mod_reason_by": None, "mod_reason_title": None, "mod_reports": [], "no_follow": True, "num_reports": None,
    "over_18": False, "quarantine": False, "removal_reason": None, "report_reasons": None, "saved": False,
    "send_replies": True, "stickied": False, "subreddit_type": "public", "top_awarded_type": None,
    "total_awards_received": 0, "treatment_tags": [], "user_reports": [],
}  # fmt: skip
# The keys that go with an account; they are absent when it is deleted.
OF_AUTHORS: dict[str, Any] = {
    "author_flair_richtext": [], "author_flair_type": "text", "author_patreon_flair": False,
    "author_premium": False,
}  # fmt: skip
OF_POSTS: dict[str, Any] = {
    "allow_live_comments": False, "category": None, "clicked": False, "content_categories": None,
    "contest_mode": False, "discussion_type": None, "hidden": False, "hide_score": False,
    "is_created_from_ads_ui": False, "is_crosspostable": False, "is_meta": False, "is_original_content": False,
    "is_reddit_media_domain": False, "is_robot_indexable": True, "is_video": False,
    "link_flair_background_color": "", "link_flair_css_class": None, "link_flair_richtext": [],
    "link_flair_text_color": "dark", "link_flair_type": "text", "media": None, "media_embed": {},
    "media_only": False, "num_crossposts": 0, "parent_whitelist_status": "all_ads", "pinned": False, "pwls": 6,
    "removed_by": None, "secure_media": None, "secure_media_embed": {}, "spoiler": False,
    "subreddit_subscribers": 1_000_000, "suggested_sort": None, "thumbnail": "self", "thumbnail_height": None,
    "thumbnail_width": None, "view_count": None, "visited": False, "whitelist_status": "all_ads", "wls": 6,
}  # fmt: skip
OF_COMMENTS: dict[str, Any] = {
    "associated_award": None, "collapsed": False, "collapsed_because_crowd_control": None,
    "collapsed_reason": None, "collapsed_reason_code": None, "comment_type": None, "controversiality": 0,
    "score_hidden": False, "unrepliable_reason": None,
}  # fmt: skip


def post(written: Post, now: int, raw: bool, crossposted: Post | None = None) -> dict[str, Any]:
    """`raw`: as `raw_json=1` asks for; else `<`, `>` and `&` come escaped. Times in seconds since 1970."""
    state = written.state(now)
    text = {"user": GONE, "moderator": TAKEN_OUT}.get(state or "", written.text_at(now))
    url = f"https://www.reddit.com{permalink(written)}"
    is_self = written.link is None and crossposted is None
    data = {
        **COMMON,
        **OF_POSTS,
        **_shared(written, now, GONE if state in ("account", "user") else written.author),
        "id": written.id,
        "name": f"t3_{written.id}",
        "title": _told(written.title, raw),
        "selftext": _told(text, raw),
        "selftext_html": _html(text, raw, "<!-- SC_OFF -->", "<!-- SC_ON -->") if text else None,
        "is_self": is_self,
        "domain": f"self.{written.sub.name}" if is_self else "" if crossposted else "example.com",
        "url": written.link or url,
        "permalink": permalink(written),
        "upvote_ratio": written.ratio,
        "num_comments": sum(
            written.at + place * 600 + 600 <= now for place in range(1, written.comments + 1)
        ),
        "link_flair_text": written.flair,
        "removed_by_category": REMOVED_BY.get(state or ""),
    }
    if crossposted is not None:
        data["url"] = permalink(crossposted)
        data["crosspost_parent"] = f"t3_{crossposted.id}"
        data["crosspost_parent_list"] = [post(crossposted, now, raw)]
    return data


def comment(written: Comment, now: int, raw: bool, depth: int | None = None) -> dict[str, Any]:
    """`replies` is the empty string; a tree of comments fills it. `depth` belongs to trees only."""
    state = written.state(now)
    body = {"user": GONE, "moderator": TAKEN_OUT}.get(state or "", written.text_at(now))
    above = written.post
    data = {
        **COMMON,
        **OF_COMMENTS,
        **_shared(written, now, GONE if state is not None else written.author),
        "id": written.id,
        "name": f"t1_{written.id}",
        "body": _told(body, raw),
        "body_html": _html(body, raw),
        "link_id": f"t3_{above.id}",
        "parent_id": written.parent,
        "replies": "",
        "is_submitter": written.author == above.author,
        "permalink": f"{permalink(above)}{written.id}/",
    }
    return data if depth is None else {**data, "depth": depth}


def about_link(written: Comment, now: int, raw: bool) -> dict[str, Any]:
    """What comments outside of their tree say of the post."""
    above = written.post
    return {
        "link_author": GONE if above.state(now) in ("account", "user") else above.author,
        "link_permalink": f"https://www.reddit.com{permalink(above)}",
        "link_title": _told(above.title, raw),
        "link_url": above.link or f"https://www.reddit.com{permalink(above)}",
        "num_comments": above.comments,
    }


def permalink(written: Post) -> str:
    words = "".join(c if c.isalnum() else " " for c in written.title.lower().replace("'", "")).split()
    return f"/r/{written.sub.name}/comments/{written.id}/{'_'.join(words)[:50].strip('_')}/"


def _shared(written: Written, now: int, author: str) -> dict[str, Any]:
    edited = written.edited is not None and written.edited <= now
    owner = {} if author == GONE else {**OF_AUTHORS, "author_fullname": f"t2_{written.author_id}"}
    return {
        **owner,
        "author": author,
        "created": float(written.at),
        "created_utc": float(written.at),
        "edited": float(written.edited) if edited and written.edited is not None else False,
        "score": written.score(now),
        "ups": written.score(now),
        "subreddit": written.sub.name,
        "subreddit_id": f"t5_{written.sub.id}",
        "subreddit_name_prefixed": f"r/{written.sub.name}",
    }


def _told(text: str, raw: bool) -> str:
    return text if raw else escape(text, quote=False)


def _html(text: str, raw: bool, before: str = "", after: str = "") -> str:
    paragraphs = "".join(f"<p>{escape(part)}</p>\n\n" for part in text.split("\n\n"))
    return _told(f'{before}<div class="md">{paragraphs.rstrip()}\n</div>{after}', raw)


def gone(thing: dict[str, Any], state: str) -> dict[str, Any] | None:
    """A told thing as it would be told in that state; None: it would be missing."""
    data, is_post = dict(thing["data"]), thing["kind"] == "t3"
    if state == "missing":
        return None
    if state != "account":
        told = GONE if state == "user" else TAKEN_OUT
        data["selftext" if is_post else "body"] = told
        data["selftext_html" if is_post else "body_html"] = _html(told, raw=True)
    if is_post:
        data["removed_by_category"] = REMOVED_BY.get(state)
    if not is_post or state != "moderator":
        data["author"] = GONE
        data = {
            name: value
            for name, value in data.items()
            if name not in OF_AUTHORS and name != "author_fullname"
        }
    return {**thing, "data": data}
