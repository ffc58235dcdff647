"""Whether a port can be listened on, asked before anything is started."""

import errno
import socket

from service.cli.failures import CommandError


def make_sure_free(host: str, port: int, *, option: str = "--port") -> None:
    """Raise CommandError, which names the option, if a server could not listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"port {port} of {host} is in use by another program: choose one with {option}"
            ) from None
        raise CommandError(f"cannot listen on port {port} of {host}: {error.strerror}") from None
