"""What stands behind the question mark: a parameter that is unknown or unreadable is told, not ignored."""

from collections.abc import Sequence
from urllib.parse import parse_qsl
from uuid import UUID

from service import ids
from service.errors import BadRequestError


class Query:
    """The parameters of a request. What is wrong with their values is gathered, and told by `check`."""

    def __init__(self, raw: bytes, *, known: Sequence[str] = (), pairs: str | None = None) -> None:
        """`known` are the names there are, and `PAIRS.…` for all that begin so. Raises BadRequestError."""
        self._given: dict[str, list[str]] = {}
        self._wrong: list[str] = []
        try:
            for name, value in parse_qsl(
                raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100
            ):
                self._given.setdefault(name, []).append(value)
        except ValueError:
            raise BadRequestError("The query cannot be read.") from None
        prefix = f"{pairs}." if pairs else None
        self._pairs = [name for name in self._given if prefix and name.startswith(prefix) and name != prefix]
        unknown = [name for name in self._given if name not in known and name not in self._pairs]
        if unknown:
            names = ", ".join(shown(name) for name in unknown)
            there_are = ", ".join([*known, *([f"{prefix}KEY"] if prefix else [])])
            allowed = f"there are: {there_are}" if there_are else "there are none"
            self.fault(f"Not a parameter of this call: {names}; {allowed}.")

    def several(self, name: str) -> list[str]:
        """Its values; several come with commas in between, or by repeating the parameter."""
        return [word for value in self._given.get(name, []) for word in value.split(",")]

    def words(self, name: str, known: Sequence[str]) -> frozenset[str]:
        """The same where only these words are known."""
        given = self.several(name)
        if unknown := [word for word in given if word not in known]:
            names = ", ".join(shown(word) for word in unknown[:10])
            self.fault(f"{name} must be one of {', '.join(known)}, not {names}.")
        return frozenset(given) & frozenset(known)

    def single(self, name: str) -> str | None:
        """Its only value; None without one."""
        values = self._given.get(name, [])
        if len(values) > 1:
            self.fault(f"{name} can be given once.")
        return values[0] if len(values) == 1 else None

    def text(self, name: str) -> str | None:
        """The same, as a text that can be stored."""
        value = self.single(name)
        if value is not None and "\0" in value:
            self.fault(f"{name} must not contain the character U+0000.")
        return value

    def id(self, name: str) -> UUID | None:
        """The same, as an id."""
        text = self.single(name)
        if text is None:
            return None
        if (found := ids.read(text)) is None:
            self.fault(f"{name} must be a UUID, not {shown(text)}.")
        return found

    def pairs(self) -> dict[str, str]:
        """What stands behind the prefix, with its text."""
        given = {name.partition(".")[2]: self.text(name) for name in self._pairs}
        if any("\0" in key for key in given):
            self.fault("A name must not contain the character U+0000.")
        return {key: value for key, value in given.items() if value is not None}

    def fault(self, said: str) -> None:
        """Something is wrong."""
        self._wrong.append(said)

    def check(self) -> None:
        """Raises BadRequestError with everything that was wrong so far."""
        if self._wrong:
            raise BadRequestError(" ".join(self._wrong))


def nothing(raw: bytes) -> None:
    """For calls that take no parameters."""
    if raw:
        Query(raw).check()


def single(raw: bytes, name: str) -> str | None:
    """For calls that take just this parameter; None without it."""
    query = Query(raw, known=(name,))
    value = query.single(name)
    query.check()
    return value


def flag(raw: bytes, name: str) -> bool:
    """For calls that take just this parameter, which is `true` or `false`, in whatever case."""
    text = single(raw, name)
    if text is None or text.lower() in ("true", "false"):
        return text is not None and text.lower() == "true"
    raise BadRequestError(f"{name} must be true or false, not {shown(text)}.")


def shown(text: str) -> str:
    """What was given, so far as it is short, with nothing in it that a terminal would obey."""
    return ascii(text if len(text) <= 40 else text[:40] + "…")
