"""Faults that need no market: whole answers that take the place of the right one."""

from dataclasses import dataclass

from ray_app.simulator.coingecko.answers import (
    MISSING_KEY,
    MONTH_SPENT,
    PRO_ONLY,
    RATE_LIMIT,
    TO_PRO_HOST,
    TO_PUBLIC_HOST,
    plain_error,
    status_error,
    too_old,
)
from ray_app.simulator.faults import Rule
from ray_app.simulator.wire import HTML, JSON, Rejection

REASONS = {
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Temporarily Unavailable",
    504: "Gateway Time-out", 520: "Web server is returning an unknown error", 524: "A timeout occurred",
}  # fmt: skip
KEY_ERRORS = {
    10002: (401, MISSING_KEY), 10005: (401, PRO_ONLY),
    10010: (400, TO_PRO_HOST), 10011: (400, TO_PUBLIC_HOST),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer in place of the right one."""

    status: int
    body: str
    content_type: str = JSON
    retry_after: int | None = None


def page(title: str) -> str:
    """An error page as a proxy in front of an API sends it."""
    return (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n"
        f"<body><center><h1>{title}</h1></center><hr><center>cloudflare</center></body></html>\n"
    )


def wrong_answer(rule: Rule, now_ms: int) -> Wrong | None:
    """The whole answer of a fault; None where the fault spoils a right answer instead."""
    limited = status_error(429, 429, RATE_LIMIT)
    match rule.fault:
        case "F01":
            return Wrong(429, limited.body, retry_after=int(rule.value("retry_after", 7)))
        case "F02":
            return Wrong(429, limited.body)
        case "F03":
            return Wrong(429, page("429 Too Many Requests"), HTML)
        case "F04":
            return Wrong(200, limited.body)
        case "F05":
            return Wrong(200, plain_error(200, "Could not process the request").body)
        case "F07" if int(rule.value("status", 403)) == 451:
            return Wrong(451, plain_error(451, "Unavailable for legal reasons in your region").body)
        case "F07":
            return Wrong(403, page("Error 1020: Access denied"), HTML)
        case "F08":
            return _wrong(_key_error(int(rule.value("code", 10005)), now_ms))
        case "F09":
            return _wrong(status_error(429, 429, MONTH_SPENT))
        case "F10":
            status = int(rule.value("status", 500))
            if rule.value("html", False):
                return Wrong(status, page(f"{status} {REASONS.get(status, 'Error')}"), HTML)
            return _wrong(server_error(status))
        case "F22":
            return _wrong(status_error(401, 10002, MISSING_KEY))
    return None


def server_error(status: int) -> Rejection:
    """As recorded: `{"status":500,"error":"Internal Server Error"}`."""
    return Rejection(status, f'{{"status":{status},"error":"{REASONS.get(status, "Error")}"}}')


def _key_error(code: int, now_ms: int) -> Rejection:
    if code == 10012:
        return too_old(365, now_ms)
    status, text = KEY_ERRORS[code]
    return status_error(status, code, text)


def _wrong(rejection: Rejection) -> Wrong:
    return Wrong(rejection.status, rejection.body)
