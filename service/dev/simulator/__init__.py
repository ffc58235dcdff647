"""RunComfy's Model API as it looks from outside, scripted by words in the prompt.

From the prompt a `script` follows, and from the script and the clock all else: no task runs for a
request, so tens of thousands cost nothing while nobody asks. `model_api` decides, `replies` words the
answers, `ledger` remembers what came, `gallery` and `pictures` make image files, `application` serves.
"""

from service.dev.simulator.application import Simulator, run, running
from service.dev.simulator.options import Faults, Options

__all__ = ["Faults", "Options", "Simulator", "run", "running"]
