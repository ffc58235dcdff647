"""The patterns that document URLs say what the checks do."""

import re
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalogue.image_urls import HTTPS_IMAGE_URL, https_image_url
from service.webhooks.addresses import check_url, usual_form

NETWORKS = (ip_network("10.0.0.0/8"),)


@given(st.from_regex(HTTPS_IMAGE_URL, fullmatch=True))
def test_what_fits_the_pattern_is_an_image_url(url: str) -> None:
    assert https_image_url(url.removesuffix("\n")) is None


@given(st.text() | st.text(alphabet="https:/?#[]@.\\ a0\u00fc").map("https://{}".format))
def test_what_does_not_fit_is_none_and_has_a_reason(text: str) -> None:
    fits = re.fullmatch(HTTPS_IMAGE_URL, text) is not None
    assert fits == (https_image_url(text) is None)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com:65536/",
        "https://example.com:/",
        "https://example.com\u2100/",
        "https://[::1]x/",
        "https://[example]/",
        "https://a\u00adb.example/",
    ],
)
def test_what_readers_of_urls_disagree_about_is_refused(url: str) -> None:
    assert https_image_url(url)


@given(st.from_regex(usual_form(), fullmatch=True))
def test_what_has_the_usual_form_can_be_called(url: str) -> None:
    check_url(url.removesuffix("\n"))


@given(st.from_regex(usual_form(NETWORKS), fullmatch=True))
def test_so_can_it_where_networks_are_allowed(url: str) -> None:
    check_url(url.removesuffix("\n"), allowed=NETWORKS)


@pytest.mark.parametrize("url", ["http://example.com/", "https://example.com:8080/", "https://a.example/#b"])
def test_what_cannot_be_called_has_not_the_usual_form(url: str) -> None:
    assert re.fullmatch(usual_form(), url) is None
