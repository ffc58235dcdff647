"""Ids in paths."""

from uuid import UUID

from service import ids
from service.errors import NotFoundError


def an_id(text: str, *, of: str) -> UUID:
    """The id of what is called so; what is written otherwise is nobody's."""
    if (found := ids.read(text)) is None:
        raise NotFoundError(
            f"There is no such {of}: ids are UUIDs, like 01890a5d-ac96-774b-bcce-b302099a8057."
        )
    return found
