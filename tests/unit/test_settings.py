"""Settings that cannot be started with are told, one line per fault, and none of them by a traceback."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import InvalidSettingsError, SettingsOfApi, load

SECRET_KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture(autouse=True)
def _usable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("EDIT_JOBS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDIT_JOBS_DATABASE_URL", "postgresql://shop:hunter2@db/jobs")
    monkeypatch.setenv("EDIT_JOBS_SECRET_KEY", SECRET_KEY)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DATABASE_URL", "mysql://shop:hunter2@db", "must begin with postgresql://"),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@db:abc/jobs",
            "is not postgresql://user:password@host:port/name",
        ),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@db/jobs?pgbouncer=true",
            "has a parameter that cannot be given: 'pgbouncer'",
        ),
        (
            "API_DATABASE_URL",
            "postgresql://web:hunter2@db/jobs?timeout=5",
            "has a parameter that cannot be given: 'timeout'",
        ),
        ("DATABASE_URL", "", "is not set"),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@db/jobs?statement_cache_size=0",
            "has a parameter that cannot be given: 'statement_cache_size'",
        ),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@/jobs?host=db&port=x",
            "is not postgresql://user:password@host:port/name",
        ),
        ("REDIS_URL", "redis://redis:6379/", "must name its database by a number, like redis://host:6379/0"),
        ("REDIS_URL", "redis://redis?db=x", "must name its database by a number, like redis://host:6379/0"),
        ("REDIS_URL", "http://redis", "must begin with redis://, rediss:// or unix://"),
        ("REDIS_URL", "redis://redis:99999", "has no valid port"),
        ("REDIS_URL", "redis://redis/jobs", "must name its database by a number, like redis://host:6379/0"),
        ("UPSTREAM_URL", "ftp://upstream", "must begin with https:// or http://"),
        ("UPSTREAM_URL", "https://upstream:abc", "has no valid port"),
        ("PUBLIC_URL", "https://", "must name a host"),
        (
            "PUBLIC_URL",
            "https://edits.example.com/?a=1",
            "must have no query and no fragment: paths are put behind it",
        ),
        ("UPSTREAM_TOKEN", "token\n", "must be one word of ASCII, without blanks or line ends"),
        ("UPSTREAM_TOKEN", "tokén", "must be one word of ASCII, without blanks or line ends"),
        (
            "UPSTREAM_MAX_IN_FLIGHT",
            "99999999999",
            "Input should be less than or equal to 2147483647",
        ),
        ("LEASE_SECONDS", "inf", "Input should be less than or equal to 1000000"),
        ("SUBMIT_DEADLINE_SECONDS", "nan", "Input should be less than or equal to 1000000"),
        ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.0/8,x", "'x' does not appear to be an IPv4 or IPv6 network"),
        ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("WEBHOOK_RETRY_SCHEDULE", "5,300", "must begin with 0, for the first attempt"),
        ("WEBHOOK_RETRY_SCHEDULE", "0,inf", "Input should be less than or equal to 1000000"),
        ("WEBHOOK_RETRY_SCHEDULE", "0,-5", "Input should be greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_one_line(name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"EDIT_JOBS_{name}", value)
    with pytest.raises(InvalidSettingsError) as refusal:
        load()
    assert str(refusal.value) == f"EDIT_JOBS_{name}: {says}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://shop:p#/w@db/jobs?sslmode=require"),
        ("DATABASE_URL", "postgresql://shop@/jobs?host=/run/postgres"),
        ("DATABASE_URL", "postgresql://shop:p%40w@[::1]:5432/jobs?target_session_attrs=read-write"),
        ("DATABASE_URL", "postgresql://shop:hunter2@/jobs?host=db-1:5432&host=db-2:5432"),
        ("REDIS_URL", "redis://redis//1"),
        ("REDIS_URL", "redis://redis/jobs?db=1"),
        ("REDIS_URL", "rediss://:hunter2@redis:6380/3"),
        ("REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("UPSTREAM_URL", "http://[::1]:9000/"),
        ("PUBLIC_URL", "https://platform.example.com/edits"),
        ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.0/8, fd00::/8"),
    ],
)
def test_what_installations_set_is_taken(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"EDIT_JOBS_{name}", value)
    load()


def test_an_empty_url_of_the_owner_is_none_for_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_JOBS_DATABASE_URL", "")
    monkeypatch.setenv("EDIT_JOBS_API_DATABASE_URL", "postgresql://web:hunter2@db/jobs")
    assert load(SettingsOfApi).url_for_api == "postgresql+asyncpg://web:hunter2@db/jobs"


@pytest.mark.parametrize(
    ("key", "says"),
    [("abc", "EDIT_JOBS_SECRET_KEY: must be base64"), (SECRET_KEY, "EDIT_JOBS_UPSTREAM_TOKEN: is not set")],
)
def test_a_worker_that_arq_starts_says_what_is_wrong(key: str, says: str) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "arq", "service.worker.WorkerSettings"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"EDIT_JOBS_SECRET_KEY": key, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert started.returncode == 1
    assert started.stderr.splitlines() == ["error: the settings cannot be used:", says]
