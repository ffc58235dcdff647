"""What an operator can set, by environment variables with the prefix `EDIT_JOBS_` or a `.env` file.

The descriptions are the README's table. A wrong value stops the start with one line per fault.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.exc import ArgumentError

from service.encryption import Vault

# What Postgres's intervals and integers hold, with room to spare.
LONGEST = 1_000_000
Seconds = Annotated[float, Field(gt=0, le=LONGEST)]
Wait = Annotated[float, Field(ge=0, le=LONGEST)]
Count = Annotated[int, Field(ge=1, le=2_147_483_647)]

PREFIX = "EDIT_JOBS_"
# What the driver takes as a text; everything else in a URL makes it refuse each connection, or is set by us.
_IN_A_URL = {
    *("host", "port", "user", "password", "database", "passfile", "service", "servicefile"),
    *("ssl", "direct_tls", "target_session_attrs", "krbsrvname", "gsslib"),
}
_DIALECT: Any = asyncpg.dialect()  # type: ignore[no-untyped-call]


class InvalidSettingsError(Exception):
    """Settings that cannot be started with; the text has one line per fault."""


class Settings(BaseSettings):
    """Everything that differs between two installations."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    database_url: str = Field(min_length=1, description="Postgres, for worker, migrations and command line")
    api_database_url: str = Field(
        "",
        description="Postgres, for the API, as a user of its own, which `edit-jobs migrate` makes;"
        " else DATABASE_URL",
    )
    redis_url: str = Field(
        "redis://localhost:6379", description="Redis; it carries bells and counts requests, and may be lost"
    )
    upstream_url: str = Field("https://model-api.runcomfy.net", description="Base URL of the model API")
    upstream_token: str = Field("", description="The platform's token there; a worker needs it", repr=False)
    upstream_max_in_flight: Count = Field(
        100, description="Most jobs that all workers together keep upstream at once"
    )
    public_url: str = Field("http://localhost:8000", description="Base of the URLs handed out to callers")
    secret_key: str = Field(
        description="Encrypts secrets at rest: 32 bytes in base64 (`openssl rand -base64 32`);"
        " comma-separated for rotation, the current one first",
        repr=False,
    )
    webhook_allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="Private ranges that webhooks may call, comma-separated; none by default"
    )
    webhook_retry_schedule: Annotated[tuple[Wait, ...], NoDecode] = Field(
        (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400),
        description="Seconds before each attempt of a webhook, comma-separated",
        min_length=1,
    )
    webhook_deadline_seconds: Seconds = Field(
        15,
        le=60,
        description="For an attempt of a webhook, from looking up the name to the end of the answer",
    )
    webhook_slots: Count = Field(
        200, description="Most attempts at once in one worker; a quarter of them may be one tenant's"
    )
    webhook_lane_slots: Count = Field(
        4,
        le=50,
        description="Most attempts at once to one endpoint, or one origin of a tenant's `callback_url`s",
    )
    webhook_breaker_failures: Count = Field(
        5, description="Failures in a row after which a receiver is left alone for a while"
    )
    webhook_breaker_seconds: Seconds = Field(
        30, description="For how long; doubled each time the next attempt fails too"
    )
    webhook_breaker_longest_seconds: Seconds = Field(1800, description="And never longer than this")
    webhook_disable_days: Seconds = Field(
        5, description="An endpoint that nothing has reached for so many days is disabled"
    )
    webhook_disable_events: Count = Field(3, description="If at least so many events have failed since")
    webhook_disable_hours: Seconds = Field(
        12, description="And at least so many hours lie between the first failure and the last"
    )
    lease_seconds: Seconds = Field(
        8, description="For how long a worker that says nothing keeps its jobs; renewed four times as often"
    )
    tick_seconds: Seconds = Field(1, description="How often a worker looks for work without hearing a bell")
    submit_deadline_seconds: Seconds = Field(
        60, description="Longest wait for the answer to a submit; giving up earlier may cost money"
    )
    default_expires_in: int = Field(
        86400, ge=10, le=604800, description="Seconds until a job expires whose request does not say"
    )
    poll_cost: Seconds = Field(
        0.058, description="What one read is worth in seconds of delay; four times as much halves the reads"
    )
    worker_max_jobs: Count = Field(10_000, description="Most jobs that one worker process follows at once")
    retention_days: int = Field(
        30, ge=0, le=36_500, description="Days until an ended job is removed; 0 keeps all jobs"
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of a worker's `GET /metrics`, on every address; 0 for none"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged")
    log_format: Literal["json", "console"] = Field("json", description="`json`, or `console` for people")

    @field_validator("webhook_allowed_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return [ip_network(part) for part in _parts(value)] if isinstance(value, str) else value

    @field_validator("webhook_retry_schedule", mode="before")
    @classmethod
    def _schedule(cls, value: object) -> object:
        return _parts(value) if isinstance(value, str) else value

    @field_validator("webhook_retry_schedule")
    @classmethod
    def _begins_at_once(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if value[0] != 0:
            raise ValueError("must begin with 0, for the first attempt")
        return value

    @field_validator("database_url", "api_database_url")
    @classmethod
    def _with_driver(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        if value and scheme not in ("postgres", "postgresql", "postgresql+asyncpg"):
            raise ValueError("must begin with postgresql://")
        # What libpq calls `sslmode`, asyncpg's driver calls `ssl`; the values are the same.
        value = f"postgresql+asyncpg://{rest.replace('sslmode=', 'ssl=')}" if value else value
        try:
            given = _DIALECT.create_connect_args(make_url(value))[1] if value else {}
        except (ArgumentError, ValueError):
            raise ValueError("is not postgresql://user:password@host:port/name") from None
        if unknown := given.keys() - _IN_A_URL:
            raise ValueError(f"has a parameter that cannot be given: {', '.join(map(repr, sorted(unknown)))}")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        parts = _url(value, "redis", "rediss", "unix")
        by_path = [parts.path.lstrip("/")] if parts.path and parts.scheme != "unix" else []
        database = parse_qs(parts.query).get("db", by_path)
        if database and not database[0].isdecimal():
            raise ValueError("must name its database by a number, like redis://host:6379/0")
        return value

    @field_validator("upstream_token")
    @classmethod
    def _fits_a_header(cls, value: str) -> str:
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("must be one word of ASCII, without blanks or line ends")
        return value

    @field_validator("upstream_url", "public_url")
    @classmethod
    def _http_base(cls, value: str) -> str:
        parts = _url(value, "https", "http")
        if not parts.hostname:
            raise ValueError("must name a host")
        if "?" in value or "#" in value:
            raise ValueError("must have no query and no fragment: paths are put behind it")
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _readable_keys(cls, value: str) -> str:
        Vault.from_text(value)
        return value

    @model_validator(mode="after")
    def _lease_outlives_ticks(self) -> Self:
        if self.lease_seconds < 2 * self.tick_seconds:
            raise ValueError(f"{PREFIX}LEASE_SECONDS must be at least twice {PREFIX}TICK_SECONDS")
        return self

    @property
    def url_for_api(self) -> str:
        """The database as the API reaches it."""
        return self.api_database_url or self.database_url

    @property
    def vault(self) -> Vault:
        """What seals and opens secrets at rest."""
        return Vault.from_text(self.secret_key)


class SettingsOfApi(Settings):
    """The API does without the owner's URL, so that nobody finds it there; it has its own instead."""

    @model_validator(mode="before")
    @classmethod
    def _its_own_will_do(cls, given: dict[str, object]) -> dict[str, object]:
        own = given.get("api_database_url")
        return given | {"database_url": given.get("database_url") or own} if own else given


def load(kind: type[Settings] = Settings) -> Settings:
    """Read the environment; raises InvalidSettingsError with one line per fault."""
    try:
        return kind()
    except ValidationError as error:
        raise InvalidSettingsError("\n".join(_line(fault) for fault in error.errors())) from None


def load_for_worker() -> Settings:
    """The same for a process that submits jobs, which needs a token to do so."""
    settings = load()
    if not settings.upstream_token:
        raise InvalidSettingsError(f"{PREFIX}UPSTREAM_TOKEN: is not set")
    return settings


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _url(value: str, *schemes: str) -> SplitResult:
    parts = urlsplit(value)
    if parts.scheme not in schemes or "://" not in value:
        *others, last = (f"{scheme}://" for scheme in schemes)
        raise ValueError(f"must begin with {', '.join(others)} or {last}")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("has no valid port") from None
    return parts


def _line(fault: ErrorDetails) -> str:
    name = PREFIX + str(fault["loc"][0]).upper() if fault["loc"] else "settings"
    is_unset = fault["type"] in ("missing", "string_too_short")
    text = "is not set" if is_unset else str(fault["msg"]).removeprefix("Value error, ")
    return f"{name}: {text}"
