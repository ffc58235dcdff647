"""HTTP: parse, call one use case, answer.

Handlers take the raw request and answer with bytes: bodies are read by the schemas of `jobs`, written by
`jobs.view`, and every error, the framework's own too, leaves as a problem document (`problems`).
"""

from service.api.app import create_app

__all__ = ["create_app"]
