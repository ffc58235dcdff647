import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.webhooks.addresses import check_url, judge, why_refused

# Written out from the registries a second time, so that a slip in the table is seen.
SPECIAL_V4 = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.31.196.0", "192.31.196.255"),
    ("192.52.193.0", "192.52.193.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("192.175.48.0", "192.175.48.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "255.255.255.255"),
]
SPECIAL_V6 = [
    ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
]
LAST = {4: IPv4Address("255.255.255.255"), 6: IPv6Address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}


@pytest.mark.parametrize(("first", "last"), SPECIAL_V4 + SPECIAL_V6)
def test_a_special_range_is_refused_from_its_first_to_its_last_address(first: str, last: str) -> None:
    assert why_refused(first)
    assert why_refused(last)


@pytest.mark.parametrize(("first", "last"), SPECIAL_V4 + SPECIAL_V6)
def test_the_neighbours_of_a_special_range_may_be_called(first: str, last: str) -> None:
    lower, upper = ip_address(first), ip_address(last)
    special = {ip_address(edge) for pair in SPECIAL_V4 + SPECIAL_V6 for edge in pair}
    neighbours = ([lower - 1] if int(lower) else []) + ([upper + 1] if upper != LAST[upper.version] else [])
    free = [neighbour for neighbour in neighbours if neighbour not in special]
    assert {str(address): why_refused(str(address)) for address in free} == {str(a): None for a in free}


@given(st.ip_addresses(v=4))
def test_every_ipv4_address_is_refused_exactly_inside_the_special_ranges(address: IPv4Address) -> None:
    special = any(IPv4Address(first) <= address <= IPv4Address(last) for first, last in SPECIAL_V4)
    assert (why_refused(str(address)) is not None) == special
    assert why_refused(f"::ffff:{address}") == why_refused(str(address))


@given(st.ip_addresses(v=6, network="2000::/3") | st.ip_addresses(v=6))
def test_every_ipv6_address_is_refused_exactly_inside_the_special_ranges(address: IPv6Address) -> None:
    if address.ipv4_mapped is None:
        special = any(IPv6Address(first) <= address <= IPv6Address(last) for first, last in SPECIAL_V6)
        assert (why_refused(str(address)) is not None) == special


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::808:808",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "5f00::1",
        "100::1",
        "not-an-address",
        "",
    ],
)
def test_a_known_way_inside_is_refused(address: str) -> None:
    assert why_refused(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111", "2620:4f:8000::1"]
)
def test_a_public_address_may_be_called(address: str) -> None:
    assert why_refused(address) is None


def test_an_allowed_network_opens_itself_and_nothing_else() -> None:
    allowed = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    assert why_refused("10.1.255.255", allowed=allowed) is None
    assert why_refused("::ffff:10.1.0.1", allowed=allowed) is None
    assert why_refused("fd12::1", allowed=allowed) is None
    assert why_refused("10.2.0.0", allowed=allowed)
    assert why_refused("127.0.0.1", allowed=allowed)


def test_http_and_other_ports_are_judged_by_the_address() -> None:
    why_not = judge([ip_network("10.0.0.0/8")])
    assert why_not("10.0.0.1", "http", 8000) is None
    assert why_not("::ffff:10.0.0.1", "http", 8000) is None
    assert why_not("8.8.8.8", "https", 443) is None
    assert why_not("8.8.8.8", "https", 8443) is None
    assert why_not("8.8.8.8", "http", 80)
    assert why_not("8.8.8.8", "http", 443)
    assert why_not("8.8.8.8", "https", 8000)
    assert why_not("127.0.0.1", "https", 443)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hook?a=%2F&b",
        "HTTPS://Example.COM./hook",
        "https://example.com:443/",
        "https://example.com:8443/",
        "https://example.com:/",
        "https://bücher.example/ü",
        "https://xn--bcher-kva.example/",
        "https://under_score.example/",
        "https://intranet/",
        "https://local.example/",
        "https://8.8.8.8/",
        "https://134744072/",
        "https://[2606:4700::1111]:8443/",
        "https://example.com/" + "a" * (2048 - 20),
    ],
)
def test_a_public_https_url_is_accepted(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not an https URL"),
        ("example.com/hook", "not an https URL"),
        ("//example.com/hook", "not an https URL"),
        ("https:example.com", "not an https URL"),
        ("ftp://example.com/", "not an https URL"),
        ("http://example.com/", "only https"),
        ("https:///hook", "valid name"),
        ("https://example.com/" + "a" * (2048 - 19), "longer than 2048"),
        ("https://user@example.com/", "user name"),
        ("https://user:word@example.com/", "user name"),
        ("https://@example.com/", "user name"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com#", "fragment"),
        ("https://example.com\\@127.0.0.1/", "backslash"),
        ("https://example.com/a b", "space"),
        (" https://example.com/", "space"),
        ("https://example.com/\n", "control"),
        ("https://exam\tple.com/", "control"),
        ("https://example.com/\x00", "control"),
        ("https://example.com/\x7f", "control"),
        ("https://example.com/\u00a0", "space"),
        ("https://example.com/\u202e", "control"),
        ("https://example.com:80/", "ports"),
        ("https://example.com:22/", "ports"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:8o/", "port"),
        ("https://localhost/", "internal name"),
        ("https://LOCALHOST./", "internal name"),
        ("https://a.localhost/", "internal name"),
        ("https://printer.local/", "internal name"),
        ("https://metadata.google.internal/", "internal name"),
        ("https://metadata.google.internal./", "internal name"),
        ("https://a..example/", "valid name"),
        ("https://.example/", "valid name"),
        ("https://example.com../", "valid name"),
        ("https://-a.example/", "valid name"),
        ("https://127.0.0%2e1/", "valid name"),
        ("https://a%00.example/", "valid name"),
        ("https://*.example/", "valid name"),
        ("https://" + "a" * 64 + ".example/", "valid name"),
        ("https://" + "a." * 126 + "example/", "valid name"),
        ("https://xn--/", "valid name"),
        ("https://①27.0.0.1/", "host or port"),
        ("https://127.0.0.1/", "loopback"),
        ("https://127.0.0.1./", "loopback"),
        ("https://127.1/", "loopback"),
        ("https://127.0.1/", "loopback"),
        ("https://2130706433/", "loopback"),
        ("https://0x7f000001/", "loopback"),
        ("https://0X7F.1/", "loopback"),
        ("https://0x7f.0x0.0x0.0x1/", "loopback"),
        ("https://017700000001/", "loopback"),
        ("https://0177.0.0.1/", "host or port"),
        ("https://0177.1/", "loopback"),
        ("https://127。0。0。1/", "loopback"),
        ("https://0/", "this network"),
        ("https://0x/", "this network"),
        ("https://10.65535/", "private"),
        ("https://169.254.169.254/", "link-local"),
        ("https://256.1.1.1/", "host or port"),
        ("https://1.1.1.1.1/", "IPv4"),
        ("https://4294967296/", "IPv4"),
        ("https://1.16777216/", "IPv4"),
        ("https://08.8.8/", "IPv4"),
        ("https://1..1/", "IPv4"),
        ("https://a.1/", "IPv4"),
        ("https://a.0x7f/", "IPv4"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:127.0.0.1]/", "loopback"),
        ("https://[::ffff:7f00:1]/", "loopback"),
        ("https://[64:ff9b::7f00:1]/", "NAT64"),
        ("https://[fe80::1%25eth0]/", "zone"),
        ("https://[::1%eth0]/", "zone"),
        ("https://[::1", "host or port"),
        ("https://[v1.x]/", "host or port"),
    ],
)
def test_a_url_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://10.0.0.1:8000/",
        "https://10.1:1/",
        "http://localhost:8000/",
        "http://hooks.internal/",
        "http://example.com:9/",
        "https://8.8.8.8/",
    ],
)
def test_with_allowed_networks_inner_urls_pass(url: str) -> None:
    check_url(url, allowed=[ip_network("10.0.0.0/8")])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://8.8.8.8/", "only for allowed networks"),
        ("https://8.8.8.8:8000/", "only for allowed networks"),
        ("http://127.1/", "loopback"),
        ("https://[fd00::1]/", "private"),
        ("http://10.0.0.1:0/", "port"),
        ("http://user@10.0.0.1/", "user name"),
        ("gopher://10.0.0.1/", "not an https URL"),
    ],
)
def test_with_allowed_networks_the_rest_is_still_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_url(url, allowed=[ip_network("10.0.0.0/8")])


@given(st.text(max_size=40))
def test_no_text_makes_the_rule_stumble(host: str) -> None:
    with contextlib.suppress(ValueError):
        check_url(f"https://{host}/")
