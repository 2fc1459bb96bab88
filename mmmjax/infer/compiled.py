"""Compile a function once per structure and shape, and say how long that took."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

__all__ = ["compiled"]

_EXECUTABLES: dict[Any, Any] = {}
_TURNS: dict[Any, threading.Lock] = {}
_TRACING = threading.Lock()  # NumPyro's handlers are one stack for all threads


def compiled(
    function: Callable[..., Any], static: Mapping[str, Any], *args: Any
) -> tuple[Callable[..., Any], float]:
    """Executable of ``function(*args, **static)`` for these shapes, and seconds spent.

    Args:
        function: Pure; traced once per distinct ``static`` and argument shapes.
        static: Hashable keyword arguments that the program depends on.
        *args: Pytrees of arrays; only their shapes, types and tree structure matter.

    Returns:
        An executable that takes ``*args`` from any thread, and the seconds that tracing
        and compiling took (0 if it was at hand).
    """
    leaves, tree = jax.tree.flatten(args)
    shapes = tuple((x.shape, str(x.dtype)) for x in leaves)
    key = (function, tuple(sorted(static.items())), tree, shapes, jax.config.jax_enable_x64)
    with _TURNS.setdefault(key, threading.Lock()):  # other programs compile meanwhile
        if key in _EXECUTABLES:
            return _EXECUTABLES[key], 0.0
        start = time.perf_counter()
        with _TRACING:
            lowered = jax.jit(lambda *a: function(*a, **static)).lower(*args)
        _EXECUTABLES[key] = lowered.compile()
        return _EXECUTABLES[key], time.perf_counter() - start
