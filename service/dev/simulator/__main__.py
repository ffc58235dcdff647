"""`python -m service.dev.simulator --port 9000`: the simulator alone, with its timing as options."""

import typer

from service.dev.simulator import Options, run


def main(
    host: str = "127.0.0.1",
    port: int = 0,
    queue_seconds: float = 1.0,
    run_seconds: float = 3.0,
    latency: float = 0.0,
) -> None:
    """Serve until interrupted; port 0 lets the system choose. The URL is printed once it listens."""
    options = Options(queue_seconds=queue_seconds, run_seconds=run_seconds, latency=latency)
    run(options, host=host, port=port, announce=typer.echo)


if __name__ == "__main__":
    typer.run(main)
