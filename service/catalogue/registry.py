"""Which models there are: every module of a package that defines `MODEL`."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from service.catalogue import models
from service.catalogue.model import Model


@cache
def known() -> Mapping[str, Model]:
    """All models by id. Raises when a file of `models/` is not a model: call it before serving."""
    found: dict[str, Model] = {}
    for module in sorted(iter_modules(models.__path__), key=lambda module: module.name):
        model = import_module(f"{models.__name__}.{module.name}").MODEL
        if not isinstance(model, Model):
            raise TypeError(f"MODEL of {module.name} is not a Model")
        if model.id in found:
            raise ValueError(f"two files define the model {model.id}")
        found[model.id] = model
    return MappingProxyType(found)


def get(model_id: str) -> Model | None:
    """None for an id that is not in the catalogue."""
    return known().get(model_id)


def all_models() -> tuple[Model, ...]:
    """In the order of their ids."""
    return tuple(model for _, model in sorted(known().items()))
