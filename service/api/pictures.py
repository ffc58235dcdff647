"""The fixed pictures that jobs of test keys come to. They are the same for everybody, so they need no key."""

from pathlib import Path

from litestar import get
from litestar.params import FromPath

from service.api.answer import Answer
from service.errors import NotFoundError
from service.upstream.scripted import FORMATS, PICTURES

PATH = "/test-pictures"
_FOLDER = Path(__file__).with_suffix("")
NAMES = tuple(f"{number}.{form}" for form in FORMATS for number in range(1, PICTURES + 1))
_BYTES = {name: (_FOLDER / name).read_bytes() for name in NAMES}


@get(f"{PATH}/{{name:str}}", sync_to_thread=False)
def show_picture(name: FromPath[str]) -> Answer:
    """Show one of the pictures."""
    if name not in _BYTES:
        raise NotFoundError(f"There is no test picture {name}.")
    media_type = f"image/{name.partition('.')[2]}"
    return Answer.of_bytes(_BYTES[name], media_type, headers={"Cache-Control": "public, max-age=86400"})
