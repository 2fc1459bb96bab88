"""Data of random keys, made on the host.

Keys made by eager operations of JAX cost a quarter of a second of tracing in every process;
NumPy's seed sequences spread the same entropy at once.
"""

import numpy as np

__all__ = ["key_data"]


def key_data(seed: int, *path: int, count: int | None = None) -> np.ndarray:
    """Data of a threefry key for ``jax.random.wrap_key_data``, uint32 (2,).

    Args:
        seed: At least 0.
        *path: What the key is for: numbers at least 0; another path is another stream.
        count: As many keys, (count, 2).
    """
    words = np.random.SeedSequence(seed, spawn_key=path).generate_state(2 * (count or 1))
    return words if count is None else words.reshape(count, 2)
