"""The seed generators of Keras: those that layers have, and the one that it draws from where a layer has none."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SEEDS = 2**31  # of a seed generator: its state is int32


def seed_generators(model: Any) -> list[Any]:
    """Of the layers."""
    return [g for layer in model._flatten_layers() for g in getattr(layer, "_seed_generators", ())]


def start_anew(generators: Sequence[Any], rng: np.random.Generator) -> None:
    for generator in generators:
        fresh = [int(rng.integers(SEEDS)), 0]
        generator.state.assign(np.array(fresh, dtype=generator.state.dtype))


def global_seeds() -> "_GlobalSeeds":
    """The state of Keras's own, to be captured."""
    return _GlobalSeeds()


class _GlobalSeeds:
    """The generator that Keras draws from where a layer has none; it is made when it is first needed."""

    def state_dict(self) -> dict[str, Any]:
        made = self._made()
        return {"state": None if made is None else made.state.numpy().tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        from keras.src.backend.common import global_state
        from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR, global_seed_generator

        if state["state"] is None:
            global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, None)
        else:
            made = global_seed_generator()
            made.state.assign(np.array(state["state"], dtype=made.state.dtype))

    def _made(self) -> Any:
        from keras.src.backend.common import global_state
        from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR

        return global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
