"""Which strangers' URLs may be called: pure rules, first for a URL, then for every address it leads to.

`ipaddress.is_global` is not trusted: it follows the registries of the Python it came with. A network in
`allowed` opens what is refused by default, and alone permits plain http and other ports.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

IPNetwork = IPv4Network | IPv6Network

MAX_URL_LENGTH = 2048
PORTS = frozenset({443, 8443})

# IPv4, less IANA's special-purpose registry (RFC 6890), of which all is refused, reachable or not.
_REFUSED: dict[IPNetwork, str] = {
    IPv4Network("0.0.0.0/8"): "this network",  # RFC 791
    IPv4Network("10.0.0.0/8"): "private",  # RFC 1918
    IPv4Network("100.64.0.0/10"): "shared by carriers",  # RFC 6598; also the metadata of some clouds
    IPv4Network("127.0.0.0/8"): "loopback",  # RFC 1122
    IPv4Network("168.63.129.16/32"): "a cloud's own",  # Azure's host, on an otherwise public address
    IPv4Network("169.254.0.0/16"): "link-local",  # RFC 3927; 169.254.169.254 is the metadata of most clouds
    IPv4Network("172.16.0.0/12"): "private",  # RFC 1918
    IPv4Network("192.0.0.0/24"): "reserved for protocols",  # RFC 6890
    IPv4Network("192.0.2.0/24"): "for documentation",  # RFC 5737
    IPv4Network("192.31.196.0/24"): "AS112",  # RFC 7535
    IPv4Network("192.52.193.0/24"): "AMT",  # RFC 7450
    IPv4Network("192.88.99.0/24"): "a 6to4 relay",  # RFC 7526
    IPv4Network("192.168.0.0/16"): "private",  # RFC 1918
    IPv4Network("192.175.48.0/24"): "AS112",  # RFC 7534
    IPv4Network("198.18.0.0/15"): "for benchmarks",  # RFC 2544
    IPv4Network("198.51.100.0/24"): "for documentation",  # RFC 5737
    IPv4Network("203.0.113.0/24"): "for documentation",  # RFC 5737
    IPv4Network("224.0.0.0/4"): "multicast",  # RFC 5771
    IPv4Network("240.0.0.0/4"): "reserved",  # RFC 1112, class E; holds the broadcast address of RFC 919
    # IPv6 the other way round: only global unicast (RFC 4291), less what is special in it.
    IPv6Network("64:ff9b::/96"): "NAT64",  # RFC 6052: an IPv4 address in disguise
    IPv6Network("64:ff9b:1::/48"): "NAT64",  # RFC 8215
    IPv6Network("::1/128"): "loopback",  # RFC 4291
    IPv6Network("fc00::/7"): "private",  # RFC 4193
    IPv6Network("fe80::/10"): "link-local",  # RFC 4291
    IPv6Network("ff00::/8"): "multicast",  # RFC 4291
    IPv6Network("2001::/23"): "reserved for protocols",  # RFC 2928; holds Teredo and ORCHID
    IPv6Network("2001:db8::/32"): "for documentation",  # RFC 3849
    IPv6Network("2002::/16"): "6to4",  # RFC 3056: an IPv4 address in disguise
    IPv6Network("3fff::/20"): "for documentation",  # RFC 9637
}
_UNICAST_V6 = IPv6Network("2000::/3")

_URL = re.compile(r"(?i)(https?)://([^/?]*)(?:[/?].*)?")
_LABEL = re.compile(r"(?i)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_USUAL_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,40}[A-Za-z0-9])?"
_USUAL_REST = r"[!-\x22$-\[\]-~]"
_NUMBER = re.compile(r"(?i)[0-9]+|0x[0-9a-f]*")
_INNER_NAMES = frozenset({"localhost", "local", "internal"})


def why_refused(address: str, *, allowed: Sequence[IPNetwork] = ()) -> str | None:
    """Why this IP address must not be called, or None. An IPv4-mapped one is read as what it maps."""
    try:
        ip = _unmapped(ip_address(address))
    except ValueError:
        return "this is not an IP address"
    if _inside(ip, allowed):
        return None
    for network, kind in _REFUSED.items():
        if ip in network:
            return f"the address is {kind}"
    if isinstance(ip, IPv6Address) and ip not in _UNICAST_V6:
        return "the address is not public"
    return None


def judge(allowed: Sequence[IPNetwork]) -> Callable[[str, str, int], str | None]:
    """The rule of the attempt, for each address a name led to: (address, scheme, port) → why not, or None."""

    def why_not(address: str, scheme: str, port: int) -> str | None:
        if reason := why_refused(address, allowed=allowed):
            return reason
        if (scheme == "https" and port in PORTS) or _inside(_unmapped(ip_address(address)), allowed):
            return None
        return "plain http and ports other than 443 and 8443 are only for allowed networks"

    return why_not


def check_url(url: str, *, allowed: Sequence[IPNetwork] = ()) -> None:
    """The rule of the creation: raises ValueError with a reason for the caller. Names are not resolved.

    Where networks are allowed, http, other ports and inner names pass, to be judged at the attempt.
    """
    scheme, host, port = _parts(url)
    if port not in range(1, 65536):
        raise ValueError("the port is not between 1 and 65535")
    if not allowed and scheme != "https":
        raise ValueError("only https is allowed")
    if not allowed and port not in PORTS:
        raise ValueError("only the ports 443 and 8443 are allowed")
    if (address := _literal(host)) is not None:
        if reason := judge(allowed)(str(address), scheme, port):
            raise ValueError(reason)
        return
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the host is not a valid name")
    if not allowed and labels[-1].lower() in _INNER_NAMES:
        raise ValueError("the host is an internal name")


def url_fault(allowed: Sequence[IPNetwork]) -> Callable[[str], str | None]:
    """The same as a format of a schema: a URL → why not, or None."""

    # A backend names the same URL for job after job, and parsing it costs as much as all other checks.
    @lru_cache(maxsize=1024)
    def why_not(url: str) -> str | None:
        try:
            check_url(url, allowed=allowed)
        except ValueError as reason:
            return f"cannot be called: {reason}"
        return None

    return why_not


def usual_form(allowed: Sequence[IPNetwork] = ()) -> str:
    """A regular expression (ECMAScript) of URLs that `check_url` lets pass: with a name, in ASCII."""
    scheme, port = ("https?", "(?::[1-9][0-9]{1,3})?") if allowed else ("https", "(?::(?:443|8443))?")
    return rf"^{scheme}://(?:{_USUAL_LABEL}\.){{1,4}}[A-Za-z]{{2,24}}{port}(?:[/?]{_USUAL_REST}*)?$"


def _parts(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, as the client that will make the call reads them."""
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"the URL is longer than {MAX_URL_LENGTH} characters")
    if "\\" in url or any(not character.isprintable() or character.isspace() for character in url):
        raise ValueError("the URL contains a backslash, a space or a control character")
    if "#" in url:
        raise ValueError("the URL has a fragment")
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("this is not an https URL with a host")
    if "@" in match[2]:
        raise ValueError("the URL has a user name or password")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError) as error:
        raise ValueError("the host or port is not valid") from error
    usual = 443 if parsed.scheme == "https" else 80
    return parsed.scheme, host, usual if parsed.port is None else parsed.port


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address a host is, in whatever notation (WHATWG URL, section 3.5), or None for a name."""
    if ":" in host:
        if "%" in host:
            raise ValueError("the address has a zone")
        return IPv6Address(host)
    parts = host.removesuffix(".").split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return None
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise ValueError("the host is not a valid IPv4 address")
    *leading, last = [_number(part) for part in parts]
    if any(number > 255 for number in leading) or last >= 256 ** (4 - len(leading)):
        raise ValueError("the host is not a valid IPv4 address")
    return IPv4Address(sum(number << 8 * (3 - i) for i, number in enumerate(leading)) + last)


def _number(text: str) -> int:
    """Decimal, `0x` hexadecimal or `0` octal, as inet_aton(3) and every browser read it."""
    if text[:2].lower() == "0x":
        return int(text[2:] or "0", 16)
    if text.startswith("0") and not set(text) <= set("01234567"):
        raise ValueError("the host is not a valid IPv4 address")
    return int(text, 8 if text.startswith("0") else 10)


def _unmapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return ip if mapped is None else mapped


def _inside(ip: IPv4Address | IPv6Address, networks: Sequence[IPNetwork]) -> bool:
    return any(ip in network for network in networks)
