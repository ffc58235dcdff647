"""The calls that need no key in the API's own description."""

from typing import Any

from service.api.describing import OBJECT, TEXT, answer, in_path, open_call, record
from service.api.pictures import NAMES, PATH
from service.upstream.scripted import FORMATS


def paths() -> dict[str, Any]:
    """All paths."""
    pictures = {f"image/{form}": {"schema": {"type": "string", "format": "binary"}} for form in FORMATS}
    picture = {"description": "The picture, the same for everybody.", "content": pictures}
    return {
        f"{PATH}/{{name}}": {
            "get": open_call(
                "Show a picture that jobs of test keys come to", {"200": picture}, refused=[404]
            ),
            "parameters": [in_path("name", "Which of them.", {"enum": list(NAMES)})],
        },
        "/health/live": {
            "get": open_call("Whether the process lives", {"200": answer("It does.", "Health")})
        },
        "/health/ready": {
            "get": open_call(
                "Whether it can do its work",
                {
                    "200": answer(
                        "Jobs are accepted. If something delays them, it says what.",
                        "Health",
                        example=_DEGRADED,
                    )
                },
                refused=[503],
            )
        },
        "/metrics": {
            "get": open_call("Show what Prometheus scrapes", {"200": _page("All metrics.", "text/plain")})
        },
        "/schema": {
            "get": open_call("Show this description as a page", {"200": _page("The page.", "text/html")})
        },
        "/schema/openapi.json": {
            "get": open_call("Show this description", {"200": answer("OpenAPI 3.1.", "OpenAPI")})
        },
    }


def schemas() -> dict[str, Any]:
    """What the paths refer to."""
    health = record(status={"enum": ["ok", "degraded"]})
    health["properties"]["degraded"] = {"type": "array", "minItems": 1, "items": TEXT}
    described = record(openapi={"type": "string", "pattern": "^3[.]1[.]"}, info=OBJECT, paths=OBJECT)
    return {
        "Health": health | {"examples": [{"status": "ok"}]},
        "OpenAPI": described | {"examples": [_OPENAPI]},
    }


def _page(description: str, media_type: str) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": TEXT}}}


_DEGRADED = {"status": "degraded", "degraded": ["Redis cannot be reached: jobs start up to a second later."]}
_OPENAPI = {"openapi": "3.1.0", "info": {"title": "edit-jobs", "version": "0.1.0"}, "paths": {}}
