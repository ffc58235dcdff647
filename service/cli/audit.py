"""`edit-jobs audit`: who changed what."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

import json as encoding
from typing import TYPE_CHECKING

from service.cli import console

if TYPE_CHECKING:
    from service.database import Connection
    from service.tenants.audit import Entry


def run(*, tenant: str | None, limit: int, json: bool) -> None:
    """Print the newest changes."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import audit, store

    async def work(connection: "Connection") -> "list[Entry]":
        tenant_id = None if tenant is None else (await store.find(connection, tenant)).id
        return await audit.page(connection, tenant_id=tenant_id, limit=limit)

    found = in_transaction(load(), work)
    if json:
        console.as_json(
            [
                {
                    "id": entry.id,
                    "at": console.moment(entry.at),
                    "tenant": entry.tenant,
                    "actor": entry.actor,
                    "action": entry.action,
                    "data": entry.data,
                }
                for entry in found
            ]
        )
        return
    console.listing(
        ("AT", "TENANT", "WHO", "WHAT", "MORE"),
        (
            (
                console.moment(entry.at),
                entry.tenant,
                entry.actor,
                entry.action,
                encoding.dumps(entry.data, ensure_ascii=False) if entry.data else "",
            )
            for entry in found
        ),
    )
