"""Faults as the error that tells of them."""

from collections.abc import Sequence

from service.errors import Fault, InvalidInputError


def invalid(faults: Sequence[Fault]) -> InvalidInputError:
    """The error that tells of these faults, the first of them also in its text."""
    told = tuple(dict.fromkeys(faults))
    first = f"{told[0].pointer or 'The body'} {told[0].message}"
    return InvalidInputError(first + (f"; {len(told)} faults in all." if len(told) > 1 else "."), faults=told)
