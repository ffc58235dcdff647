"""`OPTIONS`: which methods a path takes. The framework's own names only those it met last."""

from collections import defaultdict
from collections.abc import Iterable

from litestar import Response
from litestar.handlers import HTTPRouteHandler, route


def options(handlers: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """A handler for each path of these; it has to be registered before them, and takes no key."""
    methods: dict[str, set[str]] = defaultdict(set)
    for handler in handlers:
        for path in handler.paths:
            methods[path] |= {str(method) for method in handler.http_methods}
    return [_told(path, allow=", ".join(sorted({*names, "OPTIONS"}))) for path, names in methods.items()]


def _told(path: str, *, allow: str) -> HTTPRouteHandler:
    @route(path, http_method="OPTIONS", status_code=204, sync_to_thread=False)
    def tell() -> Response[None]:
        return Response(None, headers={"Allow": allow})

    return tell
