"""The log: the names of events (`job.moved`, `delivery.attempted`, `worker.started`) are an interface.

Bodies, secrets and tokens are never logged, URLs without their query.
"""

import logging
import sys
from urllib.parse import urlsplit

import msgspec
import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def configure(*, level: str, form: str) -> None:
    """Send events to standard error, as JSON lines or, for people, as coloured text in a terminal."""
    renderer: structlog.typing.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer(serializer=_json)
    else:
        # Plain tracebacks: the richer ones show local variables, and with them secrets.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[_without_internals, renderer], foreign_pre_chain=shared
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def without_query(url: str) -> str:
    """The URL as it may be logged: callers put tokens into queries."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _json(event: object, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _without_internals(
    logger: object, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, name, event)
