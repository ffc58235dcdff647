"""What an image URL must be for the upstream to fetch it: https, public by its form, and unambiguous.

Whether the picture is there is the upstream's to find out; nothing is fetched here.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from service.schema import Reason


def https_image_url(text: str) -> str | None:
    """Why this is not an image URL; None when it is."""
    scheme = text[:6].lower()
    if scheme.startswith("data:"):
        return "must be an https URL: data URIs are not accepted, the picture has to be on a public server"
    if scheme != "https:" or text[6:8] != "//":
        return "must begin with https://"
    # Readers of URLs disagree about these characters, and some drop them without a word.
    if " " in text or "\\" in text or not text.isprintable():
        return "must not contain spaces, control characters or backslashes"
    return _authority_fault(text)


def _authority_fault(text: str) -> str | None:
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        return "must have a readable host and port"
    if "@" in url.netloc:
        return "must not carry a user name or password"
    if not host.strip("."):
        return "must name a host"
    return "must have a readable host and port" if port == 0 else None


IMAGE_URL_FORMATS: Mapping[str, Reason] = {"https-image-url": https_image_url}
