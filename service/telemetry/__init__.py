"""What is told while the service runs: `log`, one wide named event per line, and `metrics`, what is counted.

Names of both are an interface. `metrics` is imported where something is counted: commands count nothing.
"""

from service.telemetry.log import configure, log, without_query

__all__ = ["configure", "log", "without_query"]
