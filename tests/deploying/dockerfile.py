"""A Dockerfile's instructions, and its stages made by running them in folders: no Docker is needed.

As much of the language as ours uses. A stage is a copy of what it is FROM; RUN is a chroot there, as root,
with the stage's own ENV and nothing else of this machine's.
"""
# ruff: noqa: T201  a build says what it is at

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IGNORED = "__pycache__"  # what .dockerignore keeps out of folders


@dataclass(frozen=True, slots=True)
class Instruction:
    """`RUN python -m venv /venv` is (RUN, "python -m venv /venv")."""

    name: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest as a list: it is JSON in the exec form, else words as a shell parts them."""
        found: list[str] = json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)
        return found


@dataclass(slots=True)
class Stage:
    """One FROM: its file system, and what later instructions said about it."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    folder: str = "/"
    user: str = "0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def inside(self, *program: str, user: str | None = None) -> list[str]:
        """The command line that runs a program in here."""
        chroot = ["chroot", f"--userspec={user or self.user}", str(self.root)]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        here = 'cd "$0" && exec "$@"'
        return [*chroot, "/usr/bin/env", "-i", *variables, "sh", "-c", here, self.folder, *program]


def instructions(text: str) -> Iterator[Instruction]:
    """In their order, continued lines joined, without comments."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = line.partition(" ")
        yield Instruction(name, rest.strip())


def build(context: Path, *, base: Path, folder: Path) -> Stage:
    """The last stage of `context`'s Dockerfile; `base` stands for every image that is not a stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(base)
    for number, step in enumerate(instructions((context / "Dockerfile").read_text())):
        print(f"{step.name} {step.rest}", flush=True)
        match step.name:
            case "FROM":
                image, _, name = step.rest.partition(" AS ")
                stage = _begin(stages.get(image, Stage(base)), folder / (name or f"stage-{number}"))
                stages[name] = stage
            case "COPY":
                source, target = (word for word in step.words if not word.startswith("--"))
                if origin := re.match(r"--from=(\S+)", step.rest):
                    _copy(_at(stages[origin[1]], source), _at(stage, target))
                else:
                    _copy(context / source, _at(stage, target), ignore=IGNORED)
            case "WORKDIR":
                stage.folder = step.rest
                _at(stage, ".").mkdir(parents=True, exist_ok=True)
            case "RUN":
                subprocess.run(stage.inside("sh", "-c", step.rest, user="0"), check=True)
            case _:
                _note(stage, step)
    return stage


def _note(stage: Stage, step: Instruction) -> None:
    """What changes no file."""
    match step.name:
        case "ENV":
            pairs = [word.partition("=") for word in step.words]
            path = stage.environment["PATH"]
            stage.environment |= {key: value.replace("$PATH", path) for key, _, value in pairs}
        case "USER":
            stage.user = step.rest
        case "ENTRYPOINT":
            stage.entrypoint = step.words
        case "CMD":
            stage.command = step.words
        case "HEALTHCHECK":
            stage.health = json.loads(step.rest[step.rest.index("[") :])
        case "EXPOSE" | "STOPSIGNAL":
            pass
        case _:
            raise ValueError(f"{step.name} is not known here")


def _begin(parent: Stage, root: Path) -> Stage:
    subprocess.run(["cp", "--archive", str(parent.root), str(root)], check=True)
    return Stage(root, environment=dict(parent.environment), folder=parent.folder)


def _at(stage: Stage, path: str) -> Path:
    return stage.root / (Path(stage.folder) / path).relative_to("/")


def _copy(source: Path, target: Path, *, ignore: str = "") -> None:
    """A folder's content goes into the target, a file to or into it, as COPY has it."""
    if source.is_dir():
        left_out = shutil.ignore_patterns(ignore)
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=left_out)
    else:
        shutil.copy2(source, target)
