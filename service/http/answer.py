"""What a server answered, whole; and where a server is."""

from dataclasses import dataclass

import httpx

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer, its body as it is meant, or the beginning of it if the rest was to be cut off."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    content: bytes

    def header(self, name: bytes) -> str | None:
        """The first header of that name, which is given in lower case."""
        for key, value in self.headers:
            if key.lower() == name:
                return value.decode("latin-1")
        return None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a connection is made to."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> "Origin":
        """ValueError if it is not a URL of a server."""
        if url.scheme not in _PORTS or not url.host:
            raise ValueError("not an http or https URL")
        return cls(url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme])
