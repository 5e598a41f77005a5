"""X: search against the truth, both dialects, edits and deletions, money and limits."""

import json
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.simulator.texting import START, simulated

NOW_MS = int(START.timestamp() * 1000)
BEARER = {"Authorization": "Bearer sim-key"}
SEARCH = "/x/2/tweets/search/recent"
LEGACY = {"tweet.fields": "created_at,author_id,lang,public_metrics,entities,referenced_tweets,note_tweet"}
POSTS = {
    "post.fields": "created_at,lang,public_metrics,entities,note_post",
    "expansions": "author_id,referenced_posts",
}


@pytest.fixture(scope="module")
def sim():
    with simulated() as started:
        yield started


def ask(sim, path=SEARCH, headers=BEARER, **params):
    return sim.http.get(path, params=params, headers=headers)


def search(sim, query="$BTC", **params):
    answer = ask(sim, query=query, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def standing(sim, since, until=START, now_ms=NOW_MS):
    """(id, text, row) of what stands by the truth, newest first."""
    rows = sim.truth("x", from_=since.isoformat(), to=until.isoformat())
    told = []
    for row in rows:
        if row["deleted_ms"] is not None and row["deleted_ms"] <= now_ms:
            continue
        made = [i for i, at in enumerate(row["at_ms"]) if at <= now_ms]
        told.append((row["ids"][made[-1]], row["texts"][made[-1]], row))
    return sorted(told, key=lambda one: -int(one[0]))


def test_a_search_tells_what_stands_newest_first(sim):
    found = search(sim, "$BTC lang:en", max_results=100, **LEGACY)
    wanted = [one for one in standing(sim, START - timedelta(hours=12)) if one[2]["symbol"] == "BTC"]
    wanted = [one for one in wanted if one[2]["lang"] == "en"][:100]
    assert [post["id"] for post in found["data"]] == [id_ for id_, _, _ in wanted]
    assert found["meta"]["newest_id"] == wanted[0][0]
    assert found["meta"]["oldest_id"] == wanted[-1][0]
    assert found["meta"]["result_count"] == len(found["data"]) == 100
    for post, (_, text, row) in zip(found["data"], wanted, strict=True):
        long = post.get("note_tweet", {}).get("text")
        assert (long or post["text"]) == text
        assert len(post["text"]) <= 280
        assert (post["author_id"], post["lang"]) == (row["author_id"], "en")
        made = row["at_ms"][row["ids"].index(post["id"])]
        assert datetime.fromisoformat(post["created_at"]).timestamp() * 1000 == made
        assert post["edit_history_tweet_ids"] == row["ids"][: row["ids"].index(post["id"]) + 1]
    assert any("note_tweet" in post for post in found["data"])


def test_pages_join(sim):
    day = {"start_time": "2026-05-31T10:03:21Z", "max_results": 100}
    ids, token, pages = [], None, 0
    while True:
        page = search(sim, **day, **({"next_token": token} if token else {}))
        ids += [post["id"] for post in page["data"]]
        pages, token = pages + 1, page["meta"].get("next_token")
        if token is None:
            break
    wanted = [one for one in standing(sim, START - timedelta(days=1)) if one[2]["symbol"] == "BTC"]
    assert ids == [id_ for id_, _, _ in wanted]
    assert pages == -(-len(ids) // 100) > 3


def test_since_id_leaves_out_what_was_seen():
    with simulated() as sim:
        seen = search(sim, max_results=100)["meta"]["newest_id"]
        assert search(sim, since_id=seen) == {"meta": {"result_count": 0}}
        sim.advance(1800)
        fresh = search(sim, since_id=seen, max_results=100)
        later_ms = NOW_MS + 1_800_000
        now = START + timedelta(minutes=30)
        wanted = [
            one
            for one in standing(sim, START - timedelta(hours=2), now, later_ms)
            if one[2]["symbol"] == "BTC"
        ]
        wanted = [id_ for id_, _, _ in wanted if int(id_) > int(seen)]
        assert [post["id"] for post in fresh["data"]] == wanted
        assert len(wanted) > 5
        until = search(sim, until_id=wanted[-1], max_results=10)
        assert until["meta"]["newest_id"] == seen


def test_an_edit_is_newer_than_what_was_seen_before_it(sim):
    rows = sim.truth("x", from_="2026-05-31", to="2026-06-01T08:00Z")
    standing_ = [row for row in rows if row["deleted_ms"] is None and row["symbol"] == "BTC"]
    edited = next(
        row for row in standing_ if len(row["ids"]) > 1 and row["at_ms"][-1] - row["at_ms"][0] > 300_000
    )
    between = next(row["ids"][0] for row in rows if row["at_ms"][0] > edited["at_ms"][0] + 120_000)
    assert int(between) < int(edited["ids"][-1])
    found = search(sim, since_id=between, until_id=str(int(edited["ids"][-1]) + 1), max_results=10)
    assert found["data"][0]["id"] == edited["ids"][-1]


def test_queries(sim):
    def ids(query):
        return [post["id"] for post in search(sim, query, max_results=100, start_time=since).get("data", [])]

    since = "2026-06-01T06:00:00Z"
    rows = standing(sim, datetime.fromisoformat(since))
    assert ids("$BTC OR $ETH") == [id_ for id_, _, row in rows if row["symbol"] in ("BTC", "ETH")][:100]
    assert ids("$BTC -lang:en") == [id_ for id_, _, r in rows if r["symbol"] == "BTC" and r["lang"] != "en"]
    assert ids("$ETH bullish") == [
        i for i, text, r in rows if r["symbol"] == "ETH" and "bullish" in text.lower()
    ]
    assert ids("($SOL OR $DOGE) has:links") == [
        id_ for id_, text, row in rows if row["symbol"] in ("SOL", "DOGE") and "https://t.co/" in text
    ]
    assert ids("#btc") == [id_ for id_, text, _ in rows if "#btc" in text]
    assert ids("$BTC is:retweet") == []
    plain, without = ids("$BTC lang:en"), ids("$BTC lang:en -is:retweet")
    assert plain == without


def test_the_two_dialects(sim):
    old = search(sim, max_results=10, **LEGACY, expansions="author_id,referenced_tweets.id")
    new = search(sim, max_results=10, **POSTS)
    assert [post["id"] for post in old["data"]] == [post["id"] for post in new["data"]]
    for one, two in zip(old["data"], new["data"], strict=True):
        assert one["edit_history_tweet_ids"] == two["edit_history_post_ids"]
        assert one["public_metrics"]["retweet_count"] == two["public_metrics"]["repost_count"]
        assert one["author_id"] == two["author_id"]
        assert one.get("referenced_tweets") == two.get("referenced_posts")
    assert any("referenced_posts" in post for post in new["data"])
    assert {user["id"] for user in new["includes"]["users"]} == {post["author_id"] for post in new["data"]}
    assert {post["id"] for post in old["includes"]["tweets"]} == {
        post["id"] for post in new["includes"]["posts"]
    }
    referenced = [ref["id"] for post in new["data"] for ref in post.get("referenced_posts", [])]
    told = [post["id"] for post in new["includes"]["posts"]] + [
        e["resource_id"] for e in new.get("errors", [])
    ]
    assert sorted(told) == sorted(set(referenced))


def test_fields_of_the_other_dialect_are_ignored_and_paid_for(sim):
    before = sim.truth("x", what="wallet")["posts"]
    sim.adjust("x", dialect="posts")
    missing = search(sim, max_results=10, **LEGACY)
    sim.adjust("x", dialect="both")
    assert {frozenset(post) for post in missing["data"]} == {
        frozenset({"id", "text", "edit_history_post_ids"})
    }
    assert "errors" not in missing
    assert sim.truth("x", what="wallet")["posts"] == before + 10
    with sim.fault("Y01", dialect="legacy"):
        missing = search(sim, max_results=10, **POSTS)
    assert {frozenset(post) for post in missing["data"]} >= {
        frozenset({"id", "text", "edit_history_tweet_ids", "author_id"})
    }
    unnamed = search(sim, max_results=10, **{"post.fields": "created_at,author_id,referenced_tweets"})
    assert {frozenset(post) for post in unnamed["data"]} == {
        frozenset({"id", "text", "edit_history_post_ids", "created_at"})
    }
    nonsense = search(sim, max_results=10, **{"tweet.fields": "created_att,langg"})
    assert set(nonsense["data"][0]) == {"id", "text", "edit_history_tweet_ids"}


def test_look_ups_tell_what_is_gone(sim):
    rows = sim.truth("x", from_="2026-05-30", to="2026-05-30T12:00Z")
    gone = [row for row in rows if row["deleted_ms"] is not None and row["deleted_ms"] <= NOW_MS]
    kept = [row for row in rows if row["deleted_ms"] is None or row["deleted_ms"] > NOW_MS]
    edited = next(row for row in kept if len(row["ids"]) > 1)
    assert len(gone) > 20
    ids = [row["ids"][0] for row in gone[:20] + kept[:60]] + [edited["ids"][-1], "1000000000000000001"]
    answer = ask(sim, "/x/2/tweets", ids=",".join(ids), **LEGACY).json()
    assert [post["id"] for post in answer["data"]] == [row["ids"][0] for row in kept[:60]] + [
        edited["ids"][-1]
    ]
    assert [e["resource_id"] for e in answer["errors"]] == [r["ids"][0] for r in gone[:20]] + [ids[-1]]
    assert {e["title"] for e in answer["errors"]} == {"Not Found Error"}
    assert {e["type"].rpartition("/")[2] for e in answer["errors"]} == {"resource-not-found"}
    assert answer["data"][-1]["edit_history_tweet_ids"] == edited["ids"]
    none = ask(sim, "/x/2/tweets", ids=gone[0]["ids"][0]).json()
    assert "data" not in none
    assert ask(sim, "/x/2/tweets", ids="abc").status_code == 400
    assert ask(sim, "/x/2/tweets", ids=",".join(ids * 2)).status_code == 400


def test_a_post_is_edited_and_deleted_in_turn():
    with simulated() as sim:
        rows = sim.truth("x", from_=START.isoformat(), to="2026-06-01T23:00Z")
        row = next(
            r for r in rows if len(r["ids"]) > 1 and r["deleted_ms"] and r["deleted_ms"] > r["at_ms"][-1]
        )

        today = {"start_time": "2026-06-01T10:00:00Z"}

        def found_at(ms):
            sim.advance(ms / 1000 - sim.now().timestamp() + 0.001)
            query = f"from:{row['author_id']} ${row['symbol']}"
            return [
                p
                for p in search(sim, query, max_results=100, **today).get("data", [])
                if p["id"] in row["ids"]
            ]

        assert found_at(row["at_ms"][0] - 5) == []
        assert [post["id"] for post in found_at(row["at_ms"][0])] == row["ids"][:1]
        for version in range(1, len(row["ids"])):
            (post,) = found_at(row["at_ms"][version])
            assert post["id"] == row["ids"][version]
            assert post["edit_history_tweet_ids"] == row["ids"][: version + 1]
        assert found_at(row["deleted_ms"]) == []


def test_what_is_refused(sim):
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = ask(sim, headers=headers, query="$BTC")
        assert answer.status_code == 401
        assert answer.json() == {
            "title": "Unauthorized",
            "type": "about:blank",
            "status": 401,
            "detail": "Unauthorized",
        }
    bad = {
        "max_results": {"query": "$BTC", "max_results": "5"},
        "start_time": {"query": "$BTC", "start_time": "2026-05-24T00:00:00Z"},
        "since_id": {"query": "$BTC", "since_id": "x1"},
        "query": {"query": "$BTC " + "x" * 512},
        "next_token": {"query": "$BTC", "next_token": "%%"},
    }
    for parameter, params in bad.items():
        answer = ask(sim, **params)
        assert answer.status_code == 400, parameter
        assert list(answer.json()["errors"][0]["parameters"]) == [parameter]
        assert answer.json()["type"].rpartition("/")[2] == "invalid-request"
    for query in ("", "lang:en", "$BTC min_faves:3", "($BTC", "$BTC OR"):
        assert ask(sim, query=query).status_code == 400, query
    assert ask(sim, "/x/2/nothing").status_code == 404


def test_counts_do_not_look_at_deletions(sim):
    window = {"start_time": "2026-05-31T23:30:00Z", "end_time": "2026-06-01T09:00:00Z"}
    answer = ask(sim, "/x/2/tweets/counts/recent", query="$BTC", **window).json()
    rows = sim.truth("x", from_=window["start_time"], to=window["end_time"])
    times = [row["at_ms"][0] for row in rows if row["symbol"] == "BTC"]
    assert answer["meta"] == {"total_tweet_count": len(times)}
    assert answer["data"][0]["end"] == "2026-06-01T00:00:00.000Z"
    for bucket in answer["data"]:
        start, end = (datetime.fromisoformat(bucket[name]).timestamp() * 1000 for name in ("start", "end"))
        assert bucket["tweet_count"] == sum(start <= at < end for at in times)
    new = ask(
        sim, "/x/2/tweets/counts/recent", query="$BTC", granularity="day", **window, **{"post.fields": "x"}
    )
    assert new.json()["meta"] == {"total_post_count": len(times)}
    assert [bucket["start"] for bucket in new.json()["data"]] == [
        "2026-05-31T23:30:00.000Z",
        "2026-06-01T00:00:00.000Z",
    ]


def test_every_post_costs_once_a_day():
    with simulated() as sim:
        first = search(sim, max_results=50)
        wallet = sim.truth("x", what="wallet")
        assert (wallet["posts"], Decimal(wallet["spent"])) == (50, Decimal("0.250"))
        search(sim, max_results=50)  # the same again: returned, counted, not paid
        wallet = sim.truth("x", what="wallet")
        assert (wallet["posts"], Decimal(wallet["spent"])) == (100, Decimal("0.250"))
        people = search(sim, max_results=50, expansions="author_id")["includes"]["users"]
        wallet = sim.truth("x", what="wallet")
        assert Decimal(wallet["spent"]) == Decimal("0.250") + len(people) * Decimal("0.010")
        usage = ask(sim, "/x/2/usage/tweets", days=2).json()["data"]
        assert usage["project_cap"] == 3_000_000
        assert [day["usage"][0]["tweets_consumed"] for day in usage["daily_project_usage"]] == [0, 50]
        sim.advance(86_400)
        ids = ",".join(post["id"] for post in first["data"])
        again = ask(sim, "/x/2/tweets", ids=ids).json()["data"]
        last = sim.truth("x", what="wallet")
        assert Decimal(last["spent"]) - Decimal(wallet["spent"]) == len(again) * Decimal("0.005")


def test_an_empty_wallet():
    with simulated() as sim:
        assert sim.adjust("x", credit="0.06")["credit"] == "0.06"
        assert [ask(sim, query="$BTC").status_code, ask(sim, query="$ETH").status_code] == [200, 200]
        empty = ask(sim, query="$SOL")
        assert empty.status_code == 402
        assert empty.json()["type"].rpartition("/")[2] == "credits-depleted"
        sim.adjust("x", credit="1")
        assert ask(sim, query="$SOL").status_code == 200
        sim.adjust("x", credit=None, cap=5)
        capped = ask(sim, query="$BTC")
        assert (capped.status_code, capped.json()["title"]) == (429, "UsageCapExceeded")


def test_four_hundred_and_fifty_in_a_quarter_of_an_hour():
    with simulated(limits=True) as sim:
        answers = [ask(sim, query="$BTC", since_id="2061387687025180672") for _ in range(451)]
        assert [a.status_code for a in answers] == [200] * 450 + [429]
        first, last = answers[0].headers, answers[-1].headers
        assert (first["x-rate-limit-limit"], first["x-rate-limit-remaining"]) == ("450", "449")
        reset = (NOW_MS // 900_000 + 1) * 900
        assert (last["x-rate-limit-remaining"], last["x-rate-limit-reset"]) == ("0", str(reset))
        assert answers[-1].json()["title"] == "Too Many Requests"
        assert ask(sim, "/x/2/tweets", ids="2061387687025180672").status_code == 200  # counted apart
        sim.advance(reset - NOW_MS / 1000)
        assert ask(sim, query="$BTC").headers["x-rate-limit-remaining"] == "449"


def test_faults(sim):
    with sim.fault("Y02", form="old"):
        old = ask(sim, query="$BTC")
        assert (old.status_code, old.json()["title"]) == (402, "CreditsDepleted")
    with sim.fault("Y02"):
        assert ask(sim, query="$BTC").json()["title"] == "Payment Required"
    with sim.fault("Y03"):
        assert ask(sim, query="$BTC").json()["title"] == "UsageCapExceeded"
    with sim.fault("Y04"):
        limited = ask(sim, query="$BTC")
        assert (limited.status_code, limited.json()["errors"][0]["code"]) == (429, 88)
        assert limited.headers["x-rate-limit-remaining"] == "0"
    with sim.fault("Y05"):
        assert ask(sim, query="$BTC").status_code == 403
    with sim.fault("Y06"):
        both = search(sim)
        assert both["data"]
        assert both["errors"][0]["resource_id"] == "1000000000000000001"
    with sim.fault("F10", status=503):
        assert ask(sim, query="$BTC").status_code == 503
    with sim.fault("F22"):
        assert ask(sim, query="$BTC").status_code == 401


def test_the_new_dialect_has_only_keys_of_the_vendors_specification(sim, shared_data):
    file = shared_data.parent / "contracts/specs/x.openapi.json"
    if not file.is_file():
        pytest.skip(f"no OpenAPI file of X at {file}")
    schemas = json.loads(file.read_text())["components"]["schemas"]
    answer = search(sim, max_results=100, **POSTS, **{"user.fields": "public_metrics,verified"})
    metrics = {
        name for name, of in schemas.items() if name.endswith("PublicMetrics") for name in of["properties"]
    }
    for post in answer["data"] + answer["includes"]["posts"]:
        assert set(post) <= set(schemas["Post"]["properties"])
        assert set(post["public_metrics"]) <= metrics
    assert {"repost_count", "like_count"} <= set(answer["data"][0]["public_metrics"])
    assert all(set(user) <= set(schemas["User"]["properties"]) for user in answer["includes"]["users"])
    assert set(answer["includes"]) <= set(schemas["Expansions"]["properties"])


def test_headers_and_counts_are_those_of_recorded_answers(sim, shared_data):
    meta = shared_data / "http/x_tweepy/test_asyncclient_get_all_tweets_count.meta.json"
    headers = {name.lower() for name in json.loads(meta.read_text())["response"]["headers"]}
    ours = {
        name
        for name in ask(sim, query="$BTC").headers
        if name.startswith(("x-rate", "x-access", "api-", "x-resp"))
    }
    assert len(ours) == 6
    assert ours <= headers
    body = json.loads(meta.with_name(meta.name.replace(".meta.", ".body.")).read_text())
    counts = ask(sim, "/x/2/tweets/counts/recent", query="$BTC", start_time="2026-06-01T00:00:00Z").json()
    assert set(counts["data"][0]) == set(body["data"][0])
    assert set(counts["meta"]) <= set(body["meta"])
