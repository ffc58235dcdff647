"""Who runs a command, and what it was about to do to something of a tenant's: for the audit log."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

import getpass
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.database import Database
    from service.tenants.tenant import Tenant


def actor() -> str:
    """`user@host`, as the machine has it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may be only a number
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


async def note(database: "Database", tenant: "Tenant", action: str, **data: str) -> None:
    """Note what is asked for on a tenant's behalf, before it is done: that takes several steps, and waits."""
    from service.tenants import audit

    async with database.transaction() as connection:
        await audit.record(connection, tenant_id=tenant.id, actor=actor(), action=action, data=data)
