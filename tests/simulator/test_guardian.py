"""The Guardian's API: searches, items, their strings, its errors and limits."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.simulator.texting import START, simulated

KEY = {"api-key": "sim-key"}
WINDOW = {"from-date": "2026-05-30", "to-date": "2026-05-31", "order-by": "oldest", "page-size": "200"}


@pytest.fixture(scope="module")
def sim():
    with simulated() as started:
        yield started


def ask(sim, path="search", **params):
    return sim.http.get(f"/guardian/{path}", params={**KEY, **params})


def search(sim, **params):
    answer = ask(sim, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()["response"]


def told(row, now):
    """(date, title) of a row of the truth at a moment; None where it is not to be seen."""
    at = now.isoformat().replace("+00:00", "Z")
    if row["published"] > at or (row["taken_down"] and row["taken_down"] <= at):
        return None
    updated = row["updated"] is not None and row["updated"] <= at
    return (
        row["updated"] if updated and row["redated"] else row["published"],
        row["later_title"] if updated else row["title"],
        row["id"],
    )


def test_a_search_tells_the_articles_of_its_window(sim):
    found = search(sim, **WINDOW)
    rows = sim.truth("guardian", from_="2026-05-29T12:00Z", to="2026-06-01")
    standing = sorted(one for row in rows if (one := told(row, START)))
    wanted = [one for one in standing if "2026-05-30" <= one[0] < "2026-06-01"]
    assert len(wanted) > 50
    rows = [(item["webPublicationDate"], item["webTitle"], item["id"]) for item in found["results"]]
    assert sorted(rows) == wanted
    assert [row[0] for row in rows] == [one[0] for one in wanted]
    assert (found["total"], found["pages"], found["startIndex"], found["currentPage"]) == (
        len(wanted),
        1,
        1,
        1,
    )
    assert (found["status"], found["userTier"], found["orderBy"]) == ("ok", "developer", "oldest")


def test_hours_make_up_the_day_also_for_articles_whose_date_moved(sim):
    def ids(start, end):
        found = search(sim, **{**WINDOW, "from-date": start, "to-date": end})["results"]
        return [(item["webPublicationDate"], item["id"]) for item in found]

    hours = [
        one
        for hour in range(24)
        for one in ids(f"2026-05-30T{hour:02d}:00:00Z", f"2026-05-30T{hour:02d}:59:59Z")
    ]
    assert hours == ids("2026-05-30", "2026-05-30")
    rows = sim.truth("guardian", from_="2026-05-29T12:00Z", to="2026-05-31")
    moved = {row["id"] for row in rows if row["redated"] and row["updated"]}
    assert moved & {id_ for _, id_ in hours}


def test_pages_join_without_overlap(sim):
    whole = [item["id"] for item in search(sim, **WINDOW)["results"]]
    pages = -(-len(whole) // 25)
    paged = [
        item["id"]
        for page in range(1, pages + 1)
        for item in search(sim, **{**WINDOW, "page-size": "25", "page": str(page)})["results"]
    ]
    assert paged == whole
    beyond = ask(sim, **{**WINDOW, "page-size": "25", "page": str(pages + 1)})
    message = "requested page is beyond the number of available pages"
    assert (beyond.status_code, beyond.json()) == (400, {"response": {"status": "error", "message": message}})
    following = ask(sim, f"content/{whole[9]}/next", **{**WINDOW, "page-size": "5"}).json()["response"]
    assert [item["id"] for item in following["results"]] == whole[10:15]


def test_the_newest_come_first_unless_asked_otherwise(sim):
    dates = [item["webPublicationDate"] for item in search(sim)["results"]]
    assert dates == sorted(dates, reverse=True)
    assert len(dates) == 10
    assert search(sim)["orderBy"] == "newest"
    assert search(sim, q="bitcoin")["orderBy"] == "relevance"


def test_words_sections_and_tags(sim):
    def ids(**params):
        return {item["id"]: item for item in search(sim, **WINDOW, **params)["results"]}

    everything = ids()
    technology = ids(section="technology")
    assert {item["sectionId"] for item in technology.values()} == {"technology"}
    assert set(ids(section="technology|business|money")) == set(everything)
    bitcoin = ids(tag="technology/bitcoin", **{"show-tags": "keyword"})
    assert bitcoin
    assert all("technology/bitcoin" in [tag["id"] for tag in item["tags"]] for item in bitcoin.values())
    either = ids(q="bitcoin OR ethereum")
    assert set(either) == set(ids(q="bitcoin")) | set(ids(q="ethereum"))
    assert not ids(q="bitcoin AND NOT bitcoin")
    phrase = ids(q='"in early trading"', **{"show-fields": "headline"})
    assert phrase
    assert all("in early trading" in item["fields"]["headline"] for item in phrase.values())


def test_every_value_of_fields_is_a_string(sim):
    results = search(sim, **WINDOW, **{"show-fields": "all"})["results"]
    assert {type(value) for item in results for value in item["fields"].values()} == {str}
    for item in results:
        fields = item["fields"]
        assert int(fields["wordcount"]) == len(fields["bodyText"].split())
        assert int(fields["charCount"]) == len(fields["bodyText"])
        assert fields["headline"] == item["webTitle"]
        assert fields["commentable"] in ("true", "false")
        assert fields["lastModified"] >= fields["firstPublicationDate"]
    assert {"byline" in item["fields"] for item in results} == {True, False}
    assert "fields" not in search(sim, **WINDOW)["results"][0]
    assert set(search(sim, **{**WINDOW, "show-fields": "trailText"})["results"][0]["fields"]) == {"trailText"}


def test_an_item_by_its_path(sim):
    row = sim.truth("guardian", from_="2026-05-30", to="2026-05-31")[3]
    response = ask(sim, row["id"], **{"show-fields": "all"}).json()["response"]
    assert response["content"]["id"] == row["id"]
    assert response["content"]["fields"]["firstPublicationDate"] == row["published"]
    missing = ask(sim, "technology/2026/may/30/no-such-story")
    assert missing.status_code == 404
    assert missing.json()["response"]["message"] == "The requested resource could not be found."
    section = ask(sim, "business").json()["response"]
    assert section["section"]["id"] == "business"
    assert {item["sectionId"] for item in section["results"]} == {"business"}


def test_an_update_moves_the_date_and_a_taken_down_item_is_gone():
    with simulated(start=datetime(2026, 5, 20, tzinfo=UTC)) as sim:
        rows = sim.truth("guardian", from_="2026-05-20", to="2026-06-03")
        moved = next(row for row in rows if row["redated"] and row["updated"])
        gone = next(row for row in rows if row["taken_down"] and row["published"] > moved["updated"])

        def go_to(text):
            sim.advance((datetime.fromisoformat(text) - sim.now()).total_seconds() + 1)

        def dates(row):
            window = {"from-date": "2026-05-10", "page-size": "200", "show-fields": "firstPublicationDate"}
            found = search(sim, ids=row["id"], **window)["results"]
            return [(one["webPublicationDate"], one["fields"]["firstPublicationDate"]) for one in found]

        assert dates(moved) == []
        go_to(moved["published"])
        assert dates(moved) == [(moved["published"], moved["published"])]
        go_to(moved["updated"])
        assert dates(moved) == [(moved["updated"], moved["published"])]
        go_to(gone["published"])
        assert ask(sim, gone["id"]).status_code == 200
        go_to(gone["taken_down"])
        answer = ask(sim, gone["id"])
        assert answer.status_code == 410
        assert answer.json()["response"]["message"] == "The requested resource has expired for rights reason."
        assert dates(gone) == []


def test_refusals(sim):
    for key in ({}, {"api-key": "wrong"}):
        answer = sim.http.get("/guardian/search", params=key)
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    size = ask(sim, **{"page-size": "201"})
    assert size.json()["response"]["message"] == "page-size must be an integer between 0 and 200"
    date = ask(sim, **{"from-date": "20260530"})
    assert date.status_code == 400
    assert date.json()["response"]["message"].startswith("Dates must be an ISO8601 date or datetime")
    future = search(sim, **{"from-date": "2026-07-01"})
    assert (future["total"], future["results"]) == (0, [])
    kept = sim.http.get("/sim/ledger").json()["arrivals"]
    assert not any("sim-key" in arrival["query"] for arrival in kept)


def test_one_a_second_and_five_hundred_a_day():
    with simulated(limits=True, start=START.replace(hour=0, minute=0)) as sim:
        assert [ask(sim, "sections").status_code for _ in range(2)] == [200, 429]
        statuses = []
        for _ in range(499):
            sim.advance(2)
            statuses.append(ask(sim, "sections"))
        assert [answer.status_code for answer in statuses] == [200] * 498 + [429]
        assert statuses[-1].json() == {"message": "API rate limit exceeded"}
        assert "retry-after" not in statuses[-1].headers
        sim.advance(86_400)
        assert ask(sim, "sections").status_code == 200


def test_faults(sim):
    with sim.fault("F01", retry_after=9):
        answer = ask(sim)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
        assert answer.json() == {"message": "API rate limit exceeded"}
    with sim.fault("F22"):
        assert ask(sim).json() == {"message": "Unauthorized"}
    with sim.fault("G01"):
        assert ask(sim).status_code == 410
    with sim.fault("G02"):
        assert (
            ask(sim).json()["response"]["message"].startswith("Content API does not support paging this far")
        )
    with sim.fault("G04"):
        assert ask(sim).status_code == 302
    with sim.fault("F10", status=504):
        assert ask(sim).status_code == 504
    plain = search(sim, **WINDOW, **{"show-fields": "headline,wordcount"})["results"]
    with sim.fault("G03", field="wordcount"):
        cut = search(sim, **WINDOW, **{"show-fields": "headline,wordcount"})["results"]
    assert [item["fields"] for item in cut] == [{"headline": item["webTitle"]} for item in plain]
    with sim.fault("G05", minutes=30):
        moved = search(sim, **WINDOW)["results"]
    shift = {
        datetime.fromisoformat(new["webPublicationDate"]) - datetime.fromisoformat(old["webPublicationDate"])
        for old, new in zip(plain, moved, strict=True)
    }
    assert shift == {timedelta(minutes=30)}


def test_keys_and_types_are_those_of_recorded_answers(sim, shared_data):
    recorded = json.loads((shared_data / "http/guardian/search.json").read_text())["response"]
    ours = search(sim)
    assert set(recorded) == set(ours)
    assert {name: type(recorded[name]) for name in recorded} == {name: type(ours[name]) for name in recorded}
    theirs = set.intersection(*(set(item) for item in recorded["results"])) - {"tags", "references"}
    assert theirs <= set(ours["results"][0])
    tag = json.loads((shared_data / "http/guardian/tags.json").read_text())["response"]["results"][0]
    assert {"id", "type", "sectionId", "sectionName", "webTitle", "webUrl", "apiUrl"} <= set(tag)
    assert set(ask(sim, "tags").json()["response"]["results"][0]) - {"references"} <= set(tag)
