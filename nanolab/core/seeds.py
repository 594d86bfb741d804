"""One seed for a run, an independent generator for each thing drawn in it."""

import numpy as np

from nanolab.core.checks import InputError

__all__ = ["generator"]


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the generator of the thing numbered `key` in the run of `seed`.

    It depends on (seed, key) alone, so that neither workers nor restarts nor the order of work change a draw.

    Examples
    --------
    >>> bool(generator(0, 7).random() == generator(0, 7).random())
    True
    """
    if seed < 0:
        raise InputError(f"seed must be a whole number from 0, got {seed}")
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))
