"""api.x.com. Deleted posts are not found any more; an edited one is found in its newest version only.

`dialect` of the settings: `both` (as today: each call is answered in the dialect it was asked in),
`legacy` or `posts` (only that one; fields of the other are ignored without a word).
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, get_args

from ray_app.simulator.clock import instant, iso, moment
from ray_app.simulator.faults import Rule
from ray_app.simulator.quota import Fixed
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.texts.draw import Draw
from ray_app.simulator.texts.world import texts
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import Rejection, Reply
from ray_app.simulator.x import answers
from ray_app.simulator.x.answers import Dialect, Wish, invalid
from ray_app.simulator.x.search import Found, Search
from ray_app.simulator.x.wallet import COUNTS, Wallet

SLICE_MS = 900_000
LIMITS = {
    "/2/tweets/search/recent": 450,
    "/2/tweets/counts/recent": 300,
    "/2/tweets": 3500,
    "/2/usage/tweets": 50,
}
STEPS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
FAULTS = {
    "Y01": "X: this call is answered in dialect=posts or legacy only; the other's fields are ignored",
    "Y02": "X: 402, the wallet is empty: form=new or old",
    "Y03": "X: 429, the month's cap of posts is reached",
    "Y04": "X: 429 with code 88 and no time left, as in the official playground",
    "Y05": "X: 403, the app may not do this",
    "Y06": "X: 200 with data and errors side by side",
}


class X:
    name, prefix = "x", "/x"
    secret_params: frozenset[str] = frozenset()
    own_faults = FAULTS

    def __init__(self, simulation: Simulation) -> None:
        self._tweets, self._seed = texts(simulation).tweets, simulation.config.seed
        self._counts = {path: Fixed(limit, SLICE_MS) for path, limit in LIMITS.items()}
        self._limits = simulation.limits
        self._dialect: Dialect = "both"
        self._wallet = Wallet()

    def limit(self, asked: Asked) -> Reply | None:
        count = self._counts.get(asked.path)
        if count is not None and count.arrive("app", asked.now_ms):
            reply = answers.too_many(coded=False).reply()
            return Reply(reply.status, reply.body, headers=self._headers(asked))
        return None

    def lower(self, per_minute: int) -> None:
        self._counts["/2/tweets/search/recent"].limit = per_minute * 15

    def answer(self, asked: Asked) -> Reply:
        return self._answer(asked, self._dialect)

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        match rule.fault:
            case "F01" | "F02" | "Y04":
                reply = answers.too_many(coded=rule.fault == "Y04").reply()
                reset = self._headers(asked, remaining=0)
                return Reply(reply.status, reply.body, headers=reset)
            case "F08" | "F22":
                raise answers.unauthorized()
            case "F09" | "Y03":
                raise answers.capped()
            case "Y01":
                return self._answer(
                    asked, "legacy" if rule.value("dialect", "posts") == "legacy" else "posts"
                )
            case "Y02":
                raise answers.no_credits(newer=rule.value("form", "new") == "new")
            case "Y05":
                text = "You are not permitted to perform this action."
                raise answers.problem(
                    403, {"title": "Forbidden", "type": "about:blank", "status": 403, "detail": text}
                )
            case "Y06":
                reply = self._answer(asked, self._dialect)
                body = {**json.loads(reply.body), "errors": [answers.missing("1000000000000000001")]}
                return Reply(200, json.dumps(body).encode(), headers=reply.headers)
        return None

    def adjust(self, settings: Mapping[str, Any]) -> Any:
        """`dialect`; `credit` in USD still to be spent (null: no end); `cap` of posts a month."""
        if unknown := set(settings) - {"dialect", "credit", "cap"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        if "dialect" in settings:
            if settings["dialect"] not in get_args(Dialect):
                raise ValueError(f"no dialect {settings['dialect']!r}")
            self._dialect = settings["dialect"]
        if "credit" in settings:
            more = settings["credit"]
            self._wallet.credit = None if more is None else self._wallet.spent + Decimal(str(more))
        self._wallet.cap = int(settings.get("cap", self._wallet.cap))
        return {"dialect": self._dialect, **self._wallet.told()}

    def truth(self, params: Mapping[str, str]) -> Any:
        """`what=wallet`: what was counted; else posts first written in [from, to), oldest first."""
        if params.get("what") == "wallet":
            return self._wallet.told()
        start, end = (round(moment(params[name]).timestamp() * 1000) for name in ("from", "to"))
        return [
            {
                "ids": [id_ for _, id_, _ in tweet.versions],
                "at_ms": [made for made, _, _ in tweet.versions],
                "texts": [text for _, _, text in tweet.versions],
                "deleted_ms": tweet.deleted_ms,
                "author_id": tweet.author.id,
                "lang": tweet.lang,
                "symbol": tweet.symbol,
                "about": tweet.about,
                "tone": tweet.tone,
            }
            for tweet in reversed(list(self._tweets.newest(start, end)))
        ]

    def _answer(self, asked: Asked, dialect: Dialect) -> Reply:
        if asked.headers.get("authorization", "") != "Bearer sim-key":
            raise answers.unauthorized()
        headers = self._headers(asked)
        try:
            body = self._body(asked, dialect)
        except Rejection as rejected:
            raise Rejection(rejected.status, rejected.body, rejected.content_type, headers) from None
        return Reply(
            200, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(), headers=headers
        )

    def _body(self, asked: Asked, dialect: Dialect) -> Any:
        if asked.path not in LIMITS or asked.method != "GET":
            raise answers.problem(
                404, {"title": "Not Found", "type": "about:blank", "status": 404, "detail": "Not Found"}
            )
        if asked.path == "/2/usage/tweets":
            return self._usage(asked)
        if self._wallet.is_empty():
            raise answers.no_credits(newer=True)
        if self._wallet.is_capped(asked.now_ms):
            raise answers.capped()
        self._wallet.requests += 1
        wish = Wish(asked.params, dialect)
        if asked.path == "/2/tweets":
            return self._looked_up(asked, wish)
        if asked.path == "/2/tweets/counts/recent":
            return self._counted(asked, wish)
        return self._searched(asked, wish)

    def _searched(self, asked: Asked, wish: Wish) -> Any:
        params = asked.params
        size = params.get("max_results", "10")
        if not size.isdigit() or not 10 <= int(size) <= 100:
            message = f"The `max_results` query parameter value [{size}] is not between 10 and 100"
            raise invalid("max_results", size, message)
        token = params.get("next_token", params.get("pagination_token"))
        found = Search(params, asked.now_ms).found(self._tweets)
        if token is not None:
            anchor = _read_token(token)
            found = (one for one in found if int(one[0].versions[one[1]][1]) < anchor)
        page = list(islice(found, int(size) + 1))
        more, page = len(page) > int(size), page[: int(size)]
        data = [answers.told(tweet, version, wish, asked.now_ms) for tweet, version in page]
        if not data:
            return {"meta": {"result_count": 0}}
        ids = [row["id"] for row in data]
        meta: dict[str, Any] = {"newest_id": ids[0], "oldest_id": ids[-1], "result_count": len(ids)}
        if more:
            meta["next_token"] = _token(ids[-1])
        return {"data": data, **self._included(page, ids, wish, asked.now_ms), "meta": meta}

    def _included(self, page: list[Found], ids: list[str], wish: Wish, now_ms: int) -> dict[str, Any]:
        """Pay for what goes out, users too; the expansions."""
        people = answers.users([tweet for tweet, _ in page], wish) if wish.users else []
        inside, errors = [], []
        for id_ in answers.referenced(page) if wish.refs else ():
            found = self._standing(id_, now_ms)
            if found is None:
                errors.append(answers.missing(id_, "referenced_tweets.id"))
            else:
                inside.append(answers.told(*found, wish, now_ms))
        paid = [*ids, *(row["id"] for row in inside)]
        self._wallet.pay(now_ms, paid, [person["id"] for person in people])
        includes = {name: rows for name, rows in (("users", people), (wish.words["inside"], inside)) if rows}
        return ({"includes": includes} if includes else {}) | ({"errors": errors} if errors else {})

    def _standing(self, id_: str, now_ms: int) -> Found | None:
        """The version of that id, if the post stands and that version was already made."""
        found = self._tweets.find(id_)
        standing = None if found is None else found[0].standing(now_ms)
        return None if found is None or standing is None or found[1] > standing else found

    def _counted(self, asked: Asked, wish: Wish) -> Any:
        step = STEPS.get(asked.params.get("granularity", "hour"))
        if step is None:
            raise invalid(
                "granularity", asked.params["granularity"], "granularity must be minute, hour or day"
            )
        asking = Search(asked.params, asked.now_ms)
        found = Counter(tweet.at_ms // step for tweet, _ in asking.found(self._tweets, counting=True))
        self._wallet.pay_request(COUNTS)
        word, rows, start = wish.words["by_user"], [], asking.start_ms
        while start < asking.end_ms:
            end = min(start - start % step + step, asking.end_ms)
            rows.append({"end": iso(end), "start": iso(start), word: found[start // step]})
            start = end
        return {"data": rows, "meta": {f"total_{word}": found.total()}}

    def _looked_up(self, asked: Asked, wish: Wish) -> Any:
        ids = [id_ for id_ in asked.params.get("ids", "").split(",") if id_]
        if not 1 <= len(ids) <= 100 or not all(re.fullmatch(r"[0-9]{1,19}", id_) for id_ in ids):
            told = asked.params.get("ids", "")
            raise invalid("ids", told, f"The `ids` query parameter value [{told[:60]}] is not 1 to 100 ids")
        page, errors = [], []
        for id_ in ids:
            found = self._standing(id_, asked.now_ms)
            if found is None:
                errors.append(answers.missing(id_))
            else:
                page.append(found)
        body: dict[str, Any] = {}
        if page:
            data = [answers.told(tweet, version, wish, asked.now_ms) for tweet, version in page]
            body = {"data": data, **self._included(page, [row["id"] for row in data], wish, asked.now_ms)}
            errors += body.get("errors", [])
        return body | ({"errors": errors} if errors else {})

    def _usage(self, asked: Asked) -> Any:
        days = int(asked.params.get("days", 7))
        known = [f"{instant(asked.now_ms - i * 86_400_000):%Y-%m-%d}" for i in range(days)]
        rows = [
            {"date": day, "usage": [{"app_id": "1", "tweets_consumed": self._wallet.by_day.get(day, 0)}]}
            for day in reversed(known)
        ]
        return {"data": {"daily_project_usage": rows, "project_id": "1", "project_cap": self._wallet.cap}}

    def _headers(self, asked: Asked, remaining: int | None = None) -> list[tuple[str, str]]:
        count = self._counts.get(asked.path)
        if count is None:
            return []
        used = count.used("app", asked.now_ms) if self._limits.enforced else 1
        left = max(0, count.limit - used) if remaining is None else remaining
        draw = Draw(self._seed, "x answer", asked.number)
        return [
            ("api-version", "2.167"),
            ("x-access-level", "read"),
            ("x-rate-limit-limit", str(count.limit)),
            ("x-rate-limit-remaining", str(left)),
            ("x-rate-limit-reset", str((asked.now_ms + count.left_ms(asked.now_ms)) // 1000)),
            ("x-response-time", str(draw.whole("time", 20, 200))),
            ("x-transaction-id", f"{draw.token('transaction'):016x}"),
        ]


def _token(id_: str) -> str:
    return f"b26v89c19zqg8o3f{int(id_):x}"


def _read_token(token: str) -> int:
    try:
        return int(token.removeprefix("b26v89c19zqg8o3f"), 16)
    except ValueError:
        raise invalid("next_token", token, f"Invalid next_token [{token}]") from None
