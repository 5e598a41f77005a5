"""Reddit: tokens, listings and how deep they go, later states of posts, limits, refusals and faults."""

import json
from datetime import timedelta

import pytest

from tests.simulator.texting import START, simulated

NOW = int(START.timestamp())
GONE = ("user", "moderator", "missing")


def token(sim):
    answer = sim.http.post(
        "/reddit-www/api/v1/access_token",
        auth=("sim-id", "sim-secret"),
        data={"grant_type": "client_credentials"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


@pytest.fixture(scope="module")
def sim():
    with simulated() as started:
        started.bearer = {"Authorization": f"bearer {token(started)}"}
        yield started


def ask(sim, path, **params):
    return sim.http.get(f"/reddit{path}", params={"raw_json": "1", **params}, headers=sim.bearer)


def listing(sim, path, **params):
    answer = ask(sim, path, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def names(data):
    return [child["data"]["name"] for child in data["children"]]


def truth(sim, sub, days, until=START):
    return sim.truth(
        "reddit", sub=sub, from_=(until - timedelta(days=days)).isoformat(), to=until.isoformat()
    )


def state(row, now=NOW):
    return row["ends"] if row["ended"] is not None and row["ended"] <= now else None


def test_the_token_route(sim):
    def post(data, auth=("sim-id", "sim-secret")):
        return sim.http.post("/reddit-www/api/v1/access_token", auth=auth, data=data)

    good = post({"grant_type": "client_credentials", "scope": "read"}).json()
    assert set(good) == {"access_token", "token_type", "expires_in", "scope"}
    assert (good["token_type"], good["expires_in"], good["scope"]) == ("bearer", 86400, "read")
    wrong = post({"grant_type": "client_credentials"}, auth=("sim-id", "no"))
    assert (wrong.status_code, wrong.json()) == (401, {"message": "Unauthorized", "error": 401})
    installed = {"grant_type": "https://oauth.reddit.com/grants/installed_client", "device_id": "short"}
    answer = post(installed, auth=("sim-id", ""))
    assert (answer.status_code, answer.json()["error"]) == (200, "invalid_request")
    assert "access_token" in post({**installed, "device_id": "x" * 25}, auth=("sim-id", "")).json()
    with sim.fault("D01", "/reddit-www/*"):
        answer = post({"grant_type": "client_credentials"})
    assert (answer.status_code, answer.json()) == (200, {"error": "invalid_grant"})


def test_tokens_end():
    with simulated() as sim:
        assert sim.adjust("reddit", expires_in=600)["expires_in"] == 600
        sim.bearer = {"Authorization": f"bearer {token(sim)}"}
        assert ask(sim, "/r/Bitcoin/new").status_code == 200
        sim.advance(600)
        answer = ask(sim, "/r/Bitcoin/new")
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized", "error": 401})
        assert answer.headers["www-authenticate"] == 'Bearer realm="reddit", error="invalid_token"'
        assert "x-ratelimit-used" not in answer.headers
        sim.bearer = {"Authorization": f"bearer {token(sim)}"}
        assert ask(sim, "/r/Bitcoin/new").status_code == 200


def test_a_listing_tells_the_posts_that_stand(sim):
    rows = [row for row in reversed(truth(sim, "CryptoCurrency", 3)) if state(row) not in GONE]
    data = listing(sim, "/r/CryptoCurrency/new", limit=100)
    assert names(data) == [f"t3_{row['id']}" for row in rows[:100]]
    assert (data["dist"], data["after"], data["before"]) == (100, names(data)[-1], None)
    for child, row in zip(data["children"], rows[:100], strict=True):
        post = child["data"]
        edited = row["edited"] is not None and row["edited"] <= NOW
        assert post["created_utc"] == float(row["created_utc"])
        assert post["title"] == row["title"]
        assert post["selftext"] == (row["edited_text"] if edited else row["text"])
        assert post["edited"] == (float(row["edited"]) if edited else False)
        assert post["author"] == ("[deleted]" if state(row) == "account" else row["author"])
    assert listing(sim, "/r/CryptoCurrency/new")["dist"] == 25
    assert listing(sim, "/r/CryptoCurrency/new", limit=500)["dist"] == 100


def test_without_raw_json_texts_come_escaped(sim):
    raw = listing(sim, "/r/CryptoCurrency/new", limit=100)["children"]
    escaped = listing(sim, "/r/CryptoCurrency/new", limit=100, raw_json="0")["children"]
    pairs = [
        (one["data"]["selftext"], two["data"]["selftext"]) for one, two in zip(raw, escaped, strict=True)
    ]
    assert any("&" in one for one, _ in pairs)
    for one, two in pairs:
        assert two == one.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_a_listing_ends_after_a_thousand(sim):
    seen, after, pages = [], None, 0
    while True:
        data = listing(sim, "/r/CryptoCurrency/new", limit=100, **({"after": after} if after else {}))
        seen += names(data)
        pages, after = pages + 1, data["after"]
        if after is None:
            break
    assert (len(seen), len(set(seen)), pages) == (1000, 1000, 10)


def test_before_tells_what_is_newer_unless_the_anchor_is_gone(sim):
    newest = names(listing(sim, "/r/CryptoCurrency/new", limit=100))
    assert names(listing(sim, "/r/CryptoCurrency/new", before=newest[10], limit=100)) == newest[:10]
    assert names(listing(sim, "/r/CryptoCurrency/new", before=newest[10], limit=4)) == newest[6:10]
    assert names(listing(sim, "/r/CryptoCurrency/new", before=newest[0])) == []
    deleted = next(row for row in reversed(truth(sim, "CryptoCurrency", 2)) if state(row) == "user")
    empty = listing(sim, "/r/CryptoCurrency/new", before=f"t3_{deleted['id']}", limit=100)
    assert (empty["children"], empty["dist"], empty["after"]) == ([], 0, None)
    assert any(row["created_utc"] > deleted["created_utc"] for row in truth(sim, "CryptoCurrency", 2))


def test_what_becomes_of_posts(sim):
    rows = truth(sim, "CryptoCurrency", 4)
    of = {kind: [row for row in rows if state(row) == kind] for kind in (*GONE, "account", None)}
    assert all(len(found) >= 3 for found in of.values())

    def told(kind):
        found = of[kind][:40]
        data = listing(sim, "/api/info", id=",".join(f"t3_{row['id']}" for row in found))
        return found, [child["data"] for child in data["children"]]

    for row, post in zip(*told("user"), strict=True):
        assert (post["author"], post["selftext"], post["title"]) == ("[deleted]", "[deleted]", row["title"])
        assert post["removed_by_category"] == "deleted"
        assert "author_fullname" not in post
    for row, post in zip(*told("moderator"), strict=True):
        assert (post["author"], post["selftext"], post["title"]) == (row["author"], "[removed]", row["title"])
        assert post["removed_by_category"] == "moderator"
    for row, post in zip(*told("account"), strict=True):
        assert post["author"] == "[deleted]"
        assert post["selftext"] in (row["text"], row["edited_text"])
        assert "author_fullname" not in post
    assert told("missing")[1] == []
    for row, post in zip(*told(None), strict=True):
        assert (post["author"], post["removed_by_category"]) == (row["author"], None)
    many = ",".join(f"t3_{row['id']}" for row in of[None][:120])
    assert listing(sim, "/api/info", id=many)["dist"] == 100
    shares = {kind: len(found) / len(rows) for kind, found in of.items()}
    assert 0.01 < shares["user"] < 0.08
    assert 0.02 < shares["moderator"] < 0.11


def test_a_post_is_read_edited_scored_and_deleted_in_turn():
    with simulated() as sim:
        rows = sim.truth("reddit", sub="CryptoCurrency", from_=START.isoformat(), to="2026-06-03")
        doomed = next(
            r for r in rows if r["ends"] == "user" and r["edited"] and r["edited"] < r["ended"] and r["text"]
        )

        def told_at(second):
            sim.advance(second - sim.now().timestamp())
            sim.bearer = {"Authorization": f"bearer {token(sim)}"}
            return [child["data"] for child in listing(sim, "/api/info", id=f"t3_{doomed['id']}")["children"]]

        assert told_at(doomed["created_utc"] - 1) == []
        (first,) = told_at(doomed["created_utc"])
        assert (first["selftext"], first["edited"], first["score"]) == (doomed["text"], False, 1)
        (edited,) = told_at(doomed["edited"])
        assert (edited["selftext"], edited["edited"]) == (doomed["edited_text"], float(doomed["edited"]))
        (deleted,) = told_at(doomed["ended"])
        assert (deleted["selftext"], deleted["author"]) == ("[deleted]", "[deleted]")


def test_scores_grow(sim):
    posts = [
        child["data"] for child in listing(sim, "/r/CryptoCurrency/top", t="week", limit=100)["children"]
    ]
    assert [post["score"] for post in posts] == sorted((post["score"] for post in posts), reverse=True)
    assert posts[0]["score"] > 100
    with simulated(start=START + timedelta(hours=12)) as later:
        later.bearer = {"Authorization": f"bearer {token(later)}"}
        (again,) = listing(later, "/api/info", id=posts[0]["name"])["children"]
    assert again["data"]["score"] > posts[0]["score"]


def test_several_subreddits_in_one_listing(sim):
    together = listing(sim, "/r/CryptoCurrency+Bitcoin+solana/new", limit=100)["children"]
    times = [child["data"]["created_utc"] for child in together]
    assert times == sorted(times, reverse=True)
    assert {child["data"]["subreddit"] for child in together} == {"CryptoCurrency", "Bitcoin", "solana"}
    alone = names(listing(sim, "/r/solana/new", limit=100))
    mixed = [child["data"]["name"] for child in together if child["data"]["subreddit"] == "solana"]
    assert mixed == alone[: len(mixed)]
    with sim.fault("D05", "/reddit/*", sub="solana"):
        shut = ask(sim, "/r/CryptoCurrency+solana/new")
        assert (shut.status_code, shut.json()) == (
            403,
            {"reason": "private", "message": "Forbidden", "error": 403},
        )
        assert ask(sim, "/r/CryptoCurrency/new").status_code == 200


def test_subreddits_that_cannot_be_read(sim):
    assert ask(sim, "/r/SimPrivate/new").json() == {"reason": "private", "message": "Forbidden", "error": 403}
    assert ask(sim, "/r/Bitcoin+SimPrivate/new").status_code == 403
    banned = ask(sim, "/r/SimBanned/new")
    assert (banned.status_code, banned.json()["reason"]) == (404, "banned")
    assert ask(sim, "/r/SimQuarantined/new").json()["reason"] == "quarantined"
    missing = ask(sim, "/r/nosuchsubreddit/new")
    assert missing.status_code == 302
    assert missing.headers["location"].endswith("/subreddits/search?q=nosuchsubreddit")
    assert listing(sim, "/r/SimEmpty/new") == {
        "after": None, "dist": 0, "modhash": "", "geo_filter": "", "children": [], "before": None,
    }  # fmt: skip
    assert ask(sim, "/nothing").json() == {"message": "Not Found", "error": 404}
    sim.adjust("reddit", closed={"dogecoin": "private"})
    assert ask(sim, "/r/dogecoin/new").status_code == 403
    sim.adjust("reddit", closed={"dogecoin": None})
    assert ask(sim, "/r/dogecoin/new").status_code == 200


def test_comments_and_their_tree(sim):
    flat = listing(sim, "/r/Bitcoin/comments", limit=100)
    assert {child["kind"] for child in flat["children"]} == {"t1"}
    times = [child["data"]["created_utc"] for child in flat["children"]]
    assert times == sorted(times, reverse=True)
    assert {child["data"]["replies"] for child in flat["children"]} == {""}
    first = flat["children"][0]["data"]
    assert names(listing(sim, "/api/info", id=first["name"])) == [first["name"]]
    rows = truth(sim, "Bitcoin", 0.5, START - timedelta(days=1))
    trees = [ask(sim, f"/comments/{row['id']}").json() for row in rows if state(row) != "missing"]
    assert {len(tree) for tree in trees} == {2}

    def walk(children, parent):
        for child in children:
            assert child["data"]["parent_id"] == parent
            yield child
            replies = child["data"].get("replies")
            if replies:
                yield from walk(replies["data"]["children"], child["data"]["name"])

    things = []
    for head, below in trees:
        name = head["data"]["children"][0]["data"]["name"]
        things += walk(below["data"]["children"], name)
    bodies = {thing["data"].get("body") for thing in things}
    assert {"[deleted]", "[removed]"} <= bodies
    removed = next(thing["data"] for thing in things if thing["data"].get("body") == "[removed]")
    assert removed["author"] == "[deleted]"
    assert max(thing["data"]["depth"] for thing in things) > 1
    mores = [thing["data"] for thing in things if thing["kind"] == "more"]
    assert {"_"} <= {more["id"] for more in mores}
    assert all(more["count"] == len(more["children"]) for more in mores)
    more = next(more for more in mores if more["children"])
    answer = sim.http.post(
        "/reddit/api/morechildren",
        data={"api_type": "json", "link_id": more["parent_id"], "children": ",".join(more["children"])},
        headers=sim.bearer,
    ).json()
    assert answer["json"]["errors"] == []
    assert {thing["data"]["id"] for thing in answer["json"]["data"]["things"]} <= set(more["children"])


def test_searches_and_crossposts(sim):
    found = listing(sim, "/r/CryptoCurrency/search", q="wallet", restrict_sr="1", sort="new", limit=100)
    assert found["facets"] == {}
    told = [f"{c['data']['title']} {c['data']['selftext']}".lower() for c in found["children"]]
    assert len(told) > 5
    assert all("wallet" in text for text in told)
    posts = [child["data"] for child in listing(sim, "/r/CryptoCurrency/new", limit=100)["children"]]
    shared = next(post for post in posts if "crosspost_parent" in post)
    (parent,) = shared["crosspost_parent_list"]
    assert shared["crosspost_parent"] == parent["name"]
    assert (shared["url"], shared["domain"]) == (parent["permalink"], "")
    assert parent["subreddit"] == "Bitcoin"


def test_a_thousand_in_ten_minutes():
    with simulated(limits=True) as sim:
        sim.bearer = {"Authorization": f"bearer {token(sim)}"}
        first = ask(sim, "/r/SimEmpty/new")
        told = {name: first.headers[f"x-ratelimit-{name}"] for name in ("used", "remaining", "reset")}
        assert told == {"used": "1", "remaining": "999.0", "reset": str(600 - NOW % 600)}
        statuses = [ask(sim, "/r/SimEmpty/new").status_code for _ in range(999)]
        assert set(statuses) == {200}
        over = ask(sim, "/r/SimEmpty/new")
        assert (over.status_code, over.json()) == (429, {"message": "Too Many Requests", "error": 429})
        assert over.headers["x-ratelimit-remaining"] == "0.0"
        sim.advance(600 - NOW % 600)
        assert ask(sim, "/r/SimEmpty/new").headers["x-ratelimit-used"] == "1"


def test_agents_that_name_only_a_library_share_little():
    with simulated(limits=True) as sim:
        sim.bearer = {"Authorization": f"bearer {token(sim)}", "User-Agent": "python-requests/2.32.0"}
        answers = [ask(sim, "/r/SimEmpty/new") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert "whoa there, pardner!" in answers[-1].text
    assert answers[-1].headers["retry-after"] == "4"
    assert "x-ratelimit-used" not in answers[-1].headers


def test_faults(sim):
    with sim.fault("F02"):
        assert ask(sim, "/r/Bitcoin/new").json() == {"message": "Too Many Requests", "error": 429}
    with sim.fault("F03"):
        page = ask(sim, "/r/Bitcoin/new")
        assert (page.status_code, page.headers["content-type"]) == (429, "text/html; charset=UTF-8")
        assert "x-ratelimit-used" not in page.headers
    with sim.fault("F22"):
        assert "invalid_token" in ask(sim, "/r/Bitcoin/new").headers["www-authenticate"]
    with sim.fault("D02"):
        bare = ask(sim, "/r/Bitcoin/new")
        assert bare.status_code == 200
        assert "x-ratelimit-used" not in bare.headers
    with sim.fault("D03"):
        one = listing(sim, "/r/Bitcoin/new", limit=10)
        two = listing(sim, "/r/Bitcoin/new", limit=10, after=one["after"])
        assert names(one) == names(two)
        assert one["after"] == two["after"] == names(one)[-1]
    with sim.fault("D04"):
        assert listing(sim, "/r/Bitcoin/new")["children"] == []
    with sim.fault("D06"):
        assert (ask(sim, "/r/Bitcoin/new").status_code, ask(sim, "/r/Bitcoin/new").text[:2]) == (403, "<!")
    with sim.fault("D07"):
        empty = sim.http.build_request("GET", "/reddit/r/Bitcoin/new", headers=sim.bearer)
        answer = sim.http.send(empty, stream=True)
        assert (answer.status_code, answer.headers["content-encoding"]) == (503, "gzip")
        assert answer.headers["content-length"] == "0"
        answer.close()
    with sim.fault("D08"):
        legal = ask(sim, "/r/Bitcoin/new")
        assert (legal.status_code, legal.content) == (451, b"")
        assert legal.headers["content-type"].startswith("application/json")
    for state_, author, text in (("user", "[deleted]", "[deleted]"), ("moderator", None, "[removed]")):
        with sim.fault("D09", state=state_):
            posts = [child["data"] for child in listing(sim, "/r/Bitcoin/new")["children"]]
        assert {post["selftext"] for post in posts} == {text}
        assert author is None or {post["author"] for post in posts} == {author}
    with sim.fault("D09", state="missing"):
        assert listing(sim, "/r/Bitcoin/new")["children"] == []


def test_keys_and_types_are_those_of_recorded_answers(sim, shared_data):
    """Recorded as a moderator in 2022 (t3) and as a reader in 2026 (t1)."""
    folder = shared_data / "http/reddit_praw"

    def recorded(year, kind):
        for meta in sorted(folder.glob("*.meta.json")):
            response = json.loads(meta.read_text())["response"]
            date = response["headers"].get("Date", response["headers"].get("date", ""))
            body = meta.with_name(meta.name.replace(".meta.", ".body."))
            if date[12:16] != year or not body.is_file():
                continue
            waiting = [json.loads(body.read_text())]
            while waiting:
                value = waiting.pop()
                if isinstance(value, dict):
                    if value.get("kind") == kind:
                        yield value["data"]
                    waiting += value.values()
                elif isinstance(value, list):
                    waiting += value

    posts = [child["data"] for child in listing(sim, "/r/CryptoCurrency/new", limit=100)["children"]]
    comments = [child["data"] for child in listing(sim, "/r/Bitcoin/comments", limit=100)["children"]]
    moderators = {
        "approved", "removed", "spam", "ignore_reports", "is_richtext_preview", "media_metadata", "rte_mode",
        "rtjson", "mod_reports_dismissed", "num_duplicates", "previous_visits",
    }  # fmt: skip
    for year, kind, ours in (("2022", "t3", posts), ("2026", "t1", comments)):
        theirs = list(recorded(year, kind))
        assert theirs
        owned = next(one for one in ours if one["author"] != "[deleted]" and "crosspost_parent" not in one)
        assert set.intersection(*map(set, theirs)) - moderators == set(owned)
        types: dict[str, set[type]] = {}
        for row in theirs:
            for name, value in row.items():
                types.setdefault(name, set()).add(type(value))
        for one in ours:
            for name, value in one.items():
                if value is not None and name in types and types[name] != {type(None)}:
                    assert type(value) in types[name], (kind, name, value)
