"""The command line `edit-jobs`: the only package that imports everything.

What a command runs on is imported when it runs, so that `--help` and mistakes are answered at once.
Whatever a user can cause ends with one clear message on standard error and exit code 1, or 2 for a command
that was not understood; a traceback means a bug of ours.
"""


def main() -> None:
    """What the script `edit-jobs` and `python -m service.cli` run."""
    from service.cli.application import app  # noqa: PLC0415  starts nothing that is only imported

    app(prog_name="edit-jobs")
