"""The models that can be asked for: what each takes, what it answers with.

A model is one file in `models/`, found by being there. Its input schema is the documentation, the
validator and the source of the defaults at once.
"""

from service.catalogue.model import InputWarning, Model, Prepared, Refused
from service.catalogue.registry import all_models, get, known

__all__ = [
    "DEFAULT_MODEL",
    "InputWarning",
    "Model",
    "Prepared",
    "Refused",
    "all_models",
    "get",
    "known",
]

DEFAULT_MODEL = "blackforestlabs/flux-2/dev/edit"
