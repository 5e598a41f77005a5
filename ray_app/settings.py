"""Every setting: its type, its default, one line of meaning. Read from CRYPTO_DATA_* and from `.env`.

Unknown names are refused, so that a misspelt one is not a silent default. Keys are secrets: they are never
printed, logged or handed to Ray.
"""

import difflib
import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "CRYPTO_DATA_"
NOT_SETTINGS = {
    "CRYPTO_DATA_SHARED",
    "CRYPTO_DATA_API_KEY",
}  # where tests find recorded data; a client's own key


class Settings(BaseSettings):
    """The node's settings. `Settings.read()` gives them or says which one is wrong and what to do."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="forbid", frozen=True, env_ignore_empty=True
    )

    data_dir: Path = Field(
        Path(".crypto-data"), description="folder for the laptop's database, raw pages and logs"
    )
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite in data_dir")
    raw_path: str = Field("", description="folder or fsspec URL for raw pages; empty: data_dir/raw")
    redis_url: str = Field("", description="redis://host:port/0; empty: an embedded Valkey, started by `up`")
    upstreams: str = Field(
        "real", description="`real`, or the address of a simulator (http://127.0.0.1:port)"
    )
    sources: str = Field(
        "all", description="which upstreams to collect from: `all`, or names separated by commas"
    )
    coingecko_plan: Literal["keyless", "demo", "paid"] = Field(
        "keyless", description="which CoinGecko plan to keep to"
    )
    coingecko_demo_key: SecretStr | None = Field(None, description="CoinGecko Demo API key, for plan demo")
    coingecko_pro_key: SecretStr | None = Field(None, description="CoinGecko Pro API key, for plan paid")
    coingecko_minutes: int | None = Field(
        None, ge=1, le=1440, description="minutes between price polls; empty: the plan's own"
    )
    fred_key: SecretStr | None = Field(None, description="FRED API key: macro series")
    guardian_key: SecretStr | None = Field(None, description="Guardian Open Platform key: news")
    reddit_id: SecretStr | None = Field(None, description="Reddit OAuth client id: social posts")
    reddit_secret: SecretStr | None = Field(None, description="Reddit OAuth client secret")
    x_token: SecretStr | None = Field(
        None, description="X app-only bearer token: social posts, charged per post"
    )
    x_plan: Literal["sample", "full"] = Field(
        "sample", description="ten posts of each search every two hours, or up to 500 every half-hour"
    )
    x_dollars_per_month: int = Field(
        100, ge=0, description="the most that X may cost in a calendar month, in US dollars"
    )
    etherscan_key: SecretStr | None = Field(None, description="Etherscan API key: gas and supply of Ethereum")
    contact: SecretStr | None = Field(
        None, description="your name and e-mail address, which the SEC wants to be told with each request"
    )
    history: timedelta = Field(
        timedelta(days=2),
        description="how far back gaps are filled by themselves; finer than an hour: two days at most (P30D)",
    )
    sentiment: str = Field(
        "embedded",
        description="what scores texts: `embedded`, `off`, a folder that holds cryptobert and finbert, or `hub`, "
        "which fetches them at first use (HF_HOME says where to, HF_ENDPOINT from which mirror)",
    )
    cryptobert_revision: str = Field(
        "main", description="which commit of the hub's ElKulako/cryptobert; a hash stays what it is"
    )
    finbert_revision: str = Field(
        "main", description="which commit of the hub's ProsusAI/finbert; a hash stays what it is"
    )
    sentiment_numbers: Literal["auto", "int8"] = Field(
        "auto",
        description="how cryptobert and finbert calculate: `auto`, or `int8` on a CPU where it keeps their labels",
    )
    features: bool = Field(
        False,
        description="whether rows of features are built; their hourly candles are filled back 112 days then",
    )
    llm_url: str = Field(
        "off",
        description="what gives second opinions on texts: `off`, or the address of OpenAI's API "
        "(https://api.openai.com/v1) or of a server that answers alike",
    )
    llm_model: str = Field(
        "", description="which of its models, by the name that it has there", max_length=100
    )
    llm_key: SecretStr | None = Field(None, description="its API key; a server of your own may want none")
    llm_dollars_per_month: Decimal | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="the most that second opinions may cost in a calendar month, in US dollars",
    )
    llm_dollars_in: Decimal | None = Field(
        None,
        ge=0,
        le=100_000,
        description="its price of a million tokens that it reads, in US dollars; 0 for a server of your own",
    )
    llm_dollars_out: Decimal | None = Field(
        None,
        ge=0,
        le=100_000,
        description="its price of a million tokens that it writes or thinks with, in US dollars",
    )
    llm_calls_per_minute: int = Field(60, ge=1, le=6000, description="how often it is asked at most")
    llm_tokens: int = Field(
        300,
        ge=60,
        le=100_000,
        description="the most tokens of an answer about one text; a model that thinks needs some thousand",
    )
    llm_texts_per_call: int = Field(
        1,
        ge=1,
        le=50,
        description="texts of one feed that share a question; more than 1 is cheaper and lets one sway the others",
    )
    export_path: str = Field(
        "", description="folder or fsspec URL for the files of exports; empty: data_dir/exports"
    )
    export_days: int = Field(
        7, ge=1, le=30, description="days after which the files of an export are deleted; 30 at most"
    )
    backup_path: str = Field("", description="folder or fsspec URL that backups go to, on another disk")
    backup_key: SecretStr | None = Field(
        None, description="64 hexadecimal digits that backups are sealed with; empty: they are not"
    )
    instruments: Path | None = Field(
        None, description="a file of further coins, one line each, like instruments.csv"
    )
    host: str = Field("127.0.0.1", description="address that the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="port of the API")
    dashboard_port: int = Field(8265, ge=0, le=65535, description="port of the Ray dashboard")
    release: str = Field("dev", description="names this deployment; the keepers of two releases never meet")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least level that is logged"
    )

    @classmethod
    def read(cls) -> "Settings":
        """Raises ValueError with one line per wrong setting, each saying what to do."""
        known = {PREFIX + name.upper() for name in cls.model_fields}
        wrong = [
            f"{name} is not a setting{_near(name.upper(), known)}; remove it or see .env.example"
            for name in sorted(os.environ)
            if name.upper().startswith(PREFIX)
            and name.upper() not in known | NOT_SETTINGS
            and "_TEST_" not in name
        ]
        try:
            settings = cls()
        except ValidationError as error:
            for problem in error.errors():
                name = PREFIX + "_".join(str(part) for part in problem["loc"]).upper().removeprefix(PREFIX)
                if problem["type"] == "extra_forbidden":
                    wrong.append(
                        f"{name} in .env is not a setting{_near(name, known)}; remove it or see .env.example"
                    )
                else:
                    wrong.append(f"{name}: {problem['msg']}")
            raise ValueError("\n".join(wrong)) from None
        if wrong:
            raise ValueError("\n".join(wrong))
        return settings

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{(self.data_dir / 'node.db').absolute()}"

    @property
    def raw(self) -> str:
        return self.raw_path or str((self.data_dir / "raw").absolute())

    @property
    def exports(self) -> str:
        return self.export_path or str((self.data_dir / "exports").absolute())

    @property
    def simulated(self) -> bool:
        return self.upstreams != "real"

    def secret(self, name: str) -> str | None:
        """The key behind a setting that a source names; None when it is not set."""
        value = getattr(self, name)
        return value.get_secret_value() if value is not None else None


def _near(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {near[0]}?)" if near else ""
