"""What an image URL must be for the upstream to fetch it: https, public by its form, and unambiguous.

One pattern says it, for the documentation and for the check. Whether the picture is there is the upstream's
to find out; nothing is fetched here.
"""

import re
from collections.abc import Mapping

from service.schema import Reason

# Readers of URLs disagree about these characters, and some drop them without a word: blanks, controls,
# invisible marks, backslashes.
_DOUBTFUL = (
    r"\x00-\x20\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff0-\uffff\\"
)
# What ends a host, or is read as if it did once it is written in its normal form (NFKC).
_ENDS_HOST = (
    r"/?#@:\[\]\u2047-\u2049\u2100\u2101\u2105\u2106\u2a74\ufe13\ufe16\ufe55\ufe56\ufe5f\ufe6b\uff03\uff0f"
    r"\uff1a\uff1f\uff20"
)
_NAME = rf"\.*[^.{_ENDS_HOST}{_DOUBTFUL}][^{_ENDS_HOST}{_DOUBTFUL}]*"
_IPV6 = r"\[(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})?\]"
_PORT = r":(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

HTTPS_IMAGE_URL = rf"^[Hh][Tt][Tt][Pp][Ss]://(?:{_NAME}|{_IPV6})(?:{_PORT})?(?:[/?#][^{_DOUBTFUL}]*)?$"
"""Regular expressions of ECMAScript, of Python and of Rust read it alike."""

_WHOLE = re.compile(HTTPS_IMAGE_URL)
_DOUBTFUL_ONE = re.compile(f"[{_DOUBTFUL}]")


def https_image_url(text: str) -> str | None:
    """Why this is not an image URL; None when it is."""
    if _WHOLE.fullmatch(text):
        return None
    scheme = text[:6].lower()
    if scheme.startswith("data:"):
        return "must be an https URL: data URIs are not accepted, the picture has to be on a public server"
    if scheme != "https:" or text[6:8] != "//":
        return "must begin with https://"
    if _DOUBTFUL_ONE.search(text):
        return "must not contain spaces, control characters or backslashes"
    return _authority_fault(re.split(r"[/?#]", text[8:], maxsplit=1)[0])


def _authority_fault(authority: str) -> str:
    if "@" in authority:
        return "must not carry a user name or password"
    if not authority.partition(":")[0].strip("."):
        return "must name a host"
    return "must have a readable host and port"


IMAGE_URL_FORMATS: Mapping[str, Reason] = {"https-image-url": https_image_url}
