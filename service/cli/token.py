"""A token of the upstream: never from a command's arguments, which other users of the machine can see."""

import sys

import typer

FIRST_PLACES = 100
"""Jobs that a tenant may have in flight with its own, if nothing is said."""


def read_token() -> str:
    """From a prompt or a pipe. Raises BadParameter for what is no token."""
    if sys.stdin.isatty():
        token: str = typer.prompt("Token", hide_input=True)
    else:
        token = sys.stdin.readline()
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise typer.BadParameter("a token is one word of ASCII")
    return token
