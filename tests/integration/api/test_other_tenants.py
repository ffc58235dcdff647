"""Every call of the API's own description, made with ids that are not the caller's: 404, and nothing changed.

Calls are found in the description. One that names something new by its path fails here until `IDS` knows what
of an estate that is.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import product
from typing import Any

import httpx
import pytest
from harness.estate import Estate, dump, furnish
from harness.example import body_of

from service.database import Database
from service.encryption import Vault
from service.tenants.tenant import Tenant

from .conftest import USUAL

NewKey = Callable[..., Awaitable[str]]
Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
Another = Callable[[str], Awaitable[Tenant]]

VAULT = Vault.from_text(USUAL["secret_key"])
METHODS = ("get", "post", "put", "patch", "delete")

IDS: dict[str, tuple[str, ...]] = {
    "job_id": ("job", "accepted"),
    "request_id": ("job", "accepted"),
    "endpoint_id": ("endpoint",),
    "delivery_id": ("delivery",),
    "key_id": ("key",),
    "tenant_id": ("tenant",),
}
"""Parameters that name what is a tenant's, in paths and queries, by what of an estate they name."""
NOBODYS = {"model_id": ("blackforestlabs/flux-2/dev/edit",), "name": ("1.png",)}
OPERATORS = "/v1/admin/"


@dataclass(frozen=True, slots=True)
class Call:
    """One, ready to be made; `names` are what of the estate stands in its path."""

    method: str
    path: str
    url: str
    body: Any
    names: tuple[str, ...]

    @property
    def is_operators(self) -> bool:
        return self.path.startswith(OPERATORS)

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.url}"


def calls(document: dict[str, Any], estate: Estate) -> Iterator[Call]:
    """Every call that there is, with this estate's ids wherever one can be named."""
    for path, methods in document["paths"].items():
        for method in [method for method in methods if method in METHODS]:
            parameters = [*methods.get("parameters", []), *methods[method].get("parameters", [])]
            in_path = [one["name"] for one in parameters if one["in"] == "path"]
            in_query = [one["name"] for one in parameters if one["in"] == "query" and one["name"] in IDS]
            body = body_of(document, methods[method])
            for chosen in product(*(of_parameter(name, path) for name in in_path)):
                url = path
                for name, of in zip(in_path, chosen, strict=True):
                    url = url.replace(f"{{{name}}}", str(getattr(estate, of, of)))
                assert "{" not in url, f"{path} does not describe all of its parameters"
                names = tuple(of for of in chosen if hasattr(estate, of))
                yield Call(method, path, url, body, names)
                for query in [f"{name}={getattr(estate, of)}" for name in in_query for of in IDS[name]]:
                    yield Call(method, path, f"{url}?{query}", body, names)


def of_parameter(name: str, path: str) -> tuple[str, ...]:
    """What of an estate it names, or a value that is nobody's."""
    if name not in IDS and name not in NOBODYS:
        pytest.fail(f"{path}: tell IDS what of an estate {name} names, or NOBODYS that it is no tenant's")
    return IDS.get(name) or NOBODYS[name]


async def described(api: httpx.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await api.get("/schema/openapi.json")).json()
    return document


async def leaks(
    client: httpx.AsyncClient, database: Database, estate: Estate, *, hidden: set[str]
) -> list[str]:
    """What is wrong with the answers to all calls about an estate of which this much is not the client's."""
    found = []
    before = await dump(database)
    for call in calls(await described(client), estate):
        if (not call.names and call.method != "get") or (call.names and not hidden.intersection(call.names)):
            continue  # it is about the caller's own
        answer = await client.request(call.method, call.url, json=call.body)
        if call.is_operators:
            is_right = (answer.status_code, answer.json().get("code")) == (403, "missing_scope")
        else:
            is_right = answer.status_code == 404 or (not call.names and answer.status_code == 200)
        # An id that the caller gave may be repeated to it where it is said that there is none.
        asked = call.url if answer.status_code != 200 else ""
        ids = {str(getattr(estate, of)) for of in hidden}
        # What names nobody may make what it shows, such as the first key that signs.
        names_somebody = call.names or "?" in call.url
        after = await dump(database) if names_somebody else before
        changed = [table for table in after if after[table] != before[table]]
        if not is_right or changed or any(one in answer.text and one not in asked for one in ids):
            found.append(f"{call}: {answer.status_code} {answer.text[:300]}, changed: {changed}")
        before = await dump(database)
    return found


@pytest.mark.parametrize("walls", ["both", "the first alone"])
async def test_no_call_reaches_what_is_another_tenants(
    serving: Serving, database: Database, another_tenant: Another, new_key: NewKey, walls: str
) -> None:
    mine, other = await another_tenant("mine"), await another_tenant("other")
    estate = await furnish(database, other, vault=VAULT)
    await furnish(database, mine, vault=VAULT)
    async with serving(**({} if walls == "both" else {"api_database_url": ""})) as client:
        client.headers["Authorization"] = f"Bearer {await new_key(mine)}"
        assert len(list(calls(await described(client), estate))) > 20
        assert await leaks(client, database, estate, hidden=set(Estate.__slots__)) == []


async def test_a_test_key_does_not_reach_what_is_live(
    stranger: httpx.AsyncClient, database: Database, tenant: Tenant, new_key: NewKey
) -> None:
    estate = await furnish(database, tenant, vault=VAULT)
    stranger.headers["Authorization"] = f"Bearer {await new_key(Tenant(tenant.id, 'test'))}"
    assert await leaks(stranger, database, estate, hidden=set(Estate.__slots__) - {"tenant"}) == []


async def test_a_live_key_reaches_of_tests_only_the_keys(
    stranger: httpx.AsyncClient, database: Database, tenant: Tenant, new_key: NewKey
) -> None:
    estate = await furnish(database, Tenant(tenant.id, "test"), vault=VAULT)
    stranger.headers["Authorization"] = f"Bearer {await new_key(tenant)}"
    assert await leaks(stranger, database, estate, hidden=set(Estate.__slots__) - {"tenant", "key"}) == []


async def test_each_of_these_calls_reaches_what_is_the_callers_own(
    stranger: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    database: Database,
    another_tenant: Another,
    new_key: NewKey,
) -> None:
    """So that a 404 above does not come from an id that is nobody's."""
    document = await described(stranger)
    first = await furnish(database, await another_tenant("first"), vault=VAULT)
    missed = []
    for number, named in enumerate(calls(document, first)):
        if not named.names:
            continue
        # Each on an estate of its own: one call may take away what the next one is about.
        own = await another_tenant(f"tenant {number}")
        estate = await furnish(database, own, vault=VAULT)
        call = list(calls(document, estate))[number]
        stranger.headers["Authorization"] = f"Bearer {await new_key(own)}"
        client = operator if call.is_operators else stranger
        answer = await client.request(call.method, call.url, json=call.body)
        if answer.status_code >= 500 or answer.status_code in (401, 403, 404, 405, 415):
            missed.append(f"{call}: {answer.status_code} {answer.text[:300]}")
    assert missed == []
