"""What Postgres can keep of JSON, and what can be read without harm.

JSON allows the character U+0000 and integers of any length: Postgres's text takes no NUL, and a
seed beyond 64 bits would not come out of every reader as it went in.
"""

from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# A batch of 100 full jobs holds about 4,000 values. Listing what is wrong costs some 10 µs each,
# so a body made of nothing but small mistakes must not buy a second of our time.
MOST_VALUES = 10_000
DEEPEST = 32


class UnreadableError(Exception):
    """It goes no further: nothing else can be said about this value."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def is_storable(value: object) -> bool:
    """Whether all of it can be kept: said at once, without saying where it is not."""
    level, seen = [value], 0
    for _ in range(DEEPEST + 1):
        seen += len(level)
        texts: list[str] = []
        below: list[object] = []
        for item in level:
            match item:
                case str():
                    texts.append(item)
                case dict():
                    texts += item
                    below += item.values()
                case list():
                    below += item
                case int() if not INT64_MIN <= item <= INT64_MAX:
                    return False
        text = "".join(texts)
        if "\0" in text or not (text.isascii() or _is_unicode(text)):
            return False
        if not below or seen > MOST_VALUES:
            return seen <= MOST_VALUES
        level = below
    return False


def unstorable(value: object) -> list[tuple[Path, str]]:
    """Where a decoded JSON value holds what cannot be kept, and why.

    Raises UnreadableError for what is too large, too deep or not text.
    """
    found: list[tuple[Path, str]] = []
    waiting: list[tuple[Path, object]] = [((), value)]
    seen = 0
    while waiting:
        path, item = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise UnreadableError((), f"must hold at most {MOST_VALUES:,} values")
        if len(path) > DEEPEST:
            raise UnreadableError(path[:1], f"must not be nested deeper than {DEEPEST} levels")
        match item:
            case str() if _has_nul(item, path):
                found.append((path, "must not contain the character U+0000"))
            case int() if not INT64_MIN <= item <= INT64_MAX:
                found.append((path, "must be an integer of at most 64 bits"))
            case list():
                waiting += [((*path, index), member) for index, member in enumerate(item)]
            case dict():
                waiting += [((*path, name), member) for name, member in item.items()]
                named = "must not have the character U+0000 in its name"
                found += [((*path, name), named) for name in item if _has_nul(name, (*path, name))]
    return found


def _has_nul(text: str, path: Path) -> bool:
    if not _is_unicode(text):
        raise UnreadableError(path, "must be valid Unicode: half of a surrogate pair is missing")
    return "\0" in text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
