"""Who runs a command, for the audit log."""

import getpass
import os
import socket


def actor() -> str:
    """`user@host`, as the machine has it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may be only a number
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
