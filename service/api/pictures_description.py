"""The pictures of test mode in the API's own description."""

from typing import Any

from service.api.describing import PROBLEM_ANSWER
from service.api.pictures import NAMES, PATH
from service.upstream.scripted import FORMATS


def paths() -> dict[str, Any]:
    """All paths."""
    pictures = {f"image/{form}": {"schema": {"type": "string", "format": "binary"}} for form in FORMATS}
    name = {"name": "name", "in": "path", "required": True, "schema": {"enum": list(NAMES)}}
    return {
        f"{PATH}/{{name}}": {
            "get": {
                "summary": "Show a picture that jobs of test keys come to",
                "security": [],
                "responses": {
                    "200": {"description": "The picture, the same for everybody.", "content": pictures},
                    "404": PROBLEM_ANSWER,
                    "500": PROBLEM_ANSWER,
                },
            },
            "parameters": [name],
        }
    }
