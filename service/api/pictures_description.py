"""The pictures of test mode in the API's own description."""

from typing import Any

from service.api.describing import in_path, open_call
from service.api.pictures import NAMES, PATH
from service.upstream.scripted import FORMATS


def paths() -> dict[str, Any]:
    """All paths."""
    pictures = {f"image/{form}": {"schema": {"type": "string", "format": "binary"}} for form in FORMATS}
    name = in_path("name", "Which of them.", {"enum": list(NAMES)})
    shown = {"description": "The picture, the same for everybody.", "content": pictures}
    return {
        f"{PATH}/{{name}}": {
            "get": open_call("Show a picture that jobs of test keys come to", {"200": shown}, refused=[404]),
            "parameters": [name],
        }
    }
