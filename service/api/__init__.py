"""HTTP: parse, call one use case, answer.

Handlers take the raw request and answer with bytes: bodies are read by the schemas that document them, and
every error, the framework's own too, leaves as a problem document (`problems`). What calls take and answer
is described in `<subject>_description`, and put together in `openapi`. Tenants' rows are read in transactions
that see one tenant.
"""

from service.api.app import create_app

__all__ = ["create_app"]
