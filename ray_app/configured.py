"""What the settings amount to: plans with their secrets, models, a language model; nothing is opened here."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from math import gcd
from pathlib import Path
from urllib.parse import urlsplit

from ray_app.model.money import Prices, nanodollars
from ray_app.model.source import ApiKey, Plan, Quota, Source
from ray_app.model.texts import Article, Post
from ray_app.process.sentiment import embedded, transformer
from ray_app.process.sentiment.errors import NoModel
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.weights import CRYPTOBERT, FINBERT, Declared
from ray_app.runtime.opening import Advanced, Assigned, Load
from ray_app.serve.models import MODELS, Models
from ray_app.serve.served_models import ServedModels
from ray_app.settings import Settings
from ray_app.sources import all_sources
from ray_app.store.linked import Kind


def assignments(settings: Settings) -> tuple[Assigned, ...]:
    """Every source with the plan that the settings name, its address and its secrets."""
    out = []
    contact = settings.secret("contact") or ""
    for source in _wanted(settings):
        plan = _plan(
            settings, source, source.plan(getattr(settings, f"{source.name}_plan", source.plans[0].name))
        )
        names = plan.auth.settings if plan.auth else ()
        secrets = [settings.secret(name) for name in names]
        if settings.simulated:
            base_url = settings.upstreams.rstrip("/") + plan.simulated_at
            secrets = [s or _simulators(name) for name, s in zip(names, secrets, strict=True)]
        else:
            base_url = plan.base_url
        missing = next((name for name, s in zip(names, secrets, strict=True) if not s), "")
        out.append(
            Assigned(
                source=source,
                plan=plan,
                base_url=base_url,
                secrets=tuple(s for s in secrets if s),
                headers={
                    k.lower(): v.replace("{contact}", contact).strip() for k, v in source.headers.items()
                },
                missing=missing,
            )
        )
    return tuple(out)


def _wanted(settings: Settings) -> list[Source]:
    """The sources that the settings name. Raises ValueError for one that does not exist."""
    known = all_sources()
    if settings.sources.strip() == "all":
        return list(known.values())
    names = [name.strip() for name in settings.sources.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"CRYPTO_DATA_SOURCES: no source {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in names]


def _simulators(setting: str) -> str:
    """What the simulator takes for a secret that is not set."""
    known = {
        "reddit_id": "sim-id",
        "reddit_secret": "sim-secret",
        "contact": "Simulated Node node@example.com",
    }
    return known.get(setting, "sim-key")


def _plan(settings: Settings, source: Source, plan: Plan) -> Plan:
    """The plan with the poll interval and the money that the settings allow."""
    if plan.dollars_per_call:
        calls = int(settings.x_dollars_per_month / plan.dollars_per_call)
        return replace(plan, quota=replace(plan.quota, per_month=calls))
    if source.name != "coingecko" or settings.coingecko_minutes is None:
        return plan
    every = timedelta(minutes=settings.coingecko_minutes)
    streams = tuple(
        replace(s, every=every, grain=every, longest_slice=every) if s.name == "prices" else s
        for s in plan.streams
    )
    return replace(plan, streams=streams)


def models(settings: Settings) -> Mapping[Kind, Load]:
    """What scores each kind of text; nothing is loaded yet. Raises ValueError for a folder that is not there."""
    name = settings.sentiment.strip()
    if name == "off":
        return {}
    declared: dict[Kind, Declared] = {Article: FINBERT, Post: CRYPTOBERT}
    folders = [Path(name) / one.id for one in declared.values()]
    if name not in ("embedded", "hub") and (lost := [folder for folder in folders if not folder.is_dir()]):
        raise ValueError(
            f"CRYPTO_DATA_SENTIMENT: there is no folder {lost[0]}; say `embedded`, `off`, `hub`, "
            "or a folder that holds cryptobert and finbert"
        )
    return {kind: load_of(settings, one) for kind, one in declared.items()}


def load_of(settings: Settings, declared: Declared, device: str | None = None) -> Load:
    """How the model of that name, or what stands in for it, is loaded. `device`: None chooses for this machine."""
    match settings.sentiment.strip():
        case "embedded":
            return embedded.load
        case "hub":
            folder, revision = None, getattr(settings, f"{declared.id}_revision")
        case name:
            folder, revision = Path(name) / declared.id, None
    numbers = None if settings.sentiment_numbers == "auto" else settings.sentiment_numbers
    return partial(transformer.load, declared, folder, revision, device=device, numbers=numbers)


def load_served(declared: Declared, device: str) -> SentimentModel:
    """The model of a replica, by the settings of its process' environment. Raises ModelError."""
    return load_with(Settings.read(), declared, device)


def load_with(settings: Settings, declared: Declared, device: str) -> SentimentModel:
    """The model of a replica on that device. Raises ModelError."""
    if settings.sentiment.strip() == "off":
        raise NoModel(
            declared.id, "CRYPTO_DATA_SENTIMENT is off: say `embedded`, or name a folder with models"
        )
    return load_of(settings, declared, device)()


def served_models(settings: Settings) -> Models | None:
    """What scores a client's own texts. The embedded model is one for both routes, so one deployment has it."""
    match settings.sentiment.strip():
        case "off":
            return None
        case "embedded":
            return ServedModels(dict.fromkeys(MODELS, CRYPTOBERT.id))
        case _:
            return ServedModels({name: name for name in MODELS})


def advanced(settings: Settings) -> Advanced | None:
    """The language model for second opinions; None where it is off. Raises ValueError that says what is missing."""
    if (url := settings.llm_url.strip().rstrip("/")) == "off":
        return None
    needed = ("llm_model", "llm_dollars_per_month", "llm_dollars_in", "llm_dollars_out")
    if missing := [name.upper() for name in needed if getattr(settings, name) in (None, "")]:
        raise ValueError(
            "\n".join(f"CRYPTO_DATA_{name}: set it, or CRYPTO_DATA_LLM_URL=off" for name in missing)
        )
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname or address.query or address.username:
        raise ValueError(
            f"CRYPTO_DATA_LLM_URL: {address.hostname or url[:100]!r} is no plain address like "
            "https://api.openai.com/v1 or http://127.0.0.1:8080/v1; `off` without one"
        )
    key = settings.secret("llm_key") or (_simulators("llm_key") if settings.simulated else "")
    windows = gcd(settings.llm_calls_per_minute, 60)  # a minute: a refusal is waited out for one at least
    plan = Plan(
        name="chat",
        base_url=url,
        quota=Quota(settings.llm_calls_per_minute // windows, timedelta(seconds=60 // windows)),
        streams=(),
        auth=ApiKey("llm_key", header="authorization", prefix="Bearer "),
        simulated_at="/openai/v1",
    )
    base_url = settings.upstreams.rstrip("/") + plan.simulated_at if settings.simulated else url
    return Advanced(
        assigned=Assigned(
            source=Source(name="llm", docs="docs/sentiment.md", plans=(plan,), licence="own_use"),
            plan=plan,
            base_url=base_url,
            secrets=(key,) if key else (),
        ),
        model=settings.llm_model,
        prices=Prices(settings.llm_dollars_in or Decimal(0), settings.llm_dollars_out or Decimal(0)),
        budget=nanodollars(settings.llm_dollars_per_month or Decimal(0)),
        most=settings.llm_tokens,
        together=settings.llm_texts_per_call,
    )
