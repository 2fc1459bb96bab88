"""Devices of this machine: which, how much memory they have, and a worker on each."""

import contextlib
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from mmmjax.checks import Phrase, fail
from mmmjax.fleet.schedule import Part
from mmmjax.infer.threads import cores, working_on
from mmmjax.resources import host_memory

__all__ = ["Machine", "OnDevice", "chosen", "machine_of"]


class Machine(NamedTuple):
    """What a worker works on.

    Args:
        platform: "cpu", "gpu" or "tpu".
        kind: Name of the device.
        memory: Bytes of the device; on a CPU as ``host``.
        host: Bytes of the host's memory, its part of it.
        cores: Of the host, its part of them.
    """

    platform: str
    kind: str
    memory: int
    host: int
    cores: int

    def shared(self, workers: int) -> "Machine":
        """The part of one of so many workers on the host."""
        host, share = self.host // workers, max(1, math.ceil(self.cores / workers))
        memory = host if self.platform == "cpu" else self.memory
        return self._replace(memory=memory, host=host, cores=share)


def chosen(devices: Sequence[Any] | None) -> tuple[Any, ...]:
    """Devices to fit on: those asked for, else all local ones of the default backend.

    A device that ``jax.default_device`` names is the only one where none is asked for.
    """
    if devices is None:
        asked = jax.config.jax_default_device
        if isinstance(asked, jax.Device):
            return (asked,)
        return tuple(jax.local_devices(backend=asked))
    fix = "devices=jax.devices()[:2], or leave it out to use all"
    if isinstance(devices, str) or not isinstance(devices, Sequence):
        fail("devices", devices, "", "a sequence of jax.Device", fix)
    if not devices:
        fail("devices", Phrase("none"), "", "one or more of jax.local_devices()", fix)
    for found in devices:
        if not isinstance(found, jax.Device):
            fail("devices", found, "", "devices of jax.local_devices()", fix)
        if found.process_index != jax.process_index():
            allowed = "devices of this process, jax.local_devices()"
            fail("devices", Phrase(f"{found} of another process"), "", allowed, fix)
    if len(set(devices)) < len(devices):
        fail("devices", Phrase("one of them twice"), "", "each device once", fix)
    return tuple(devices)


def machine_of(place: Any) -> Machine:
    """A device, and this whole host."""
    host = host_memory()
    stats: dict[str, Any] = {}
    with contextlib.suppress(Exception):  # not every backend has them
        stats = place.memory_stats() or {}
    size = host if place.platform == "cpu" else int(stats.get("bytes_limit") or host)
    return Machine(place.platform, place.device_kind, size, host, cores())


class OnDevice:
    """Fits batches on one device of this process.

    Args:
        place: The device.
        share: Cores it may use.
        fit: Fits a part on this thread's device.
    """

    def __init__(self, place: Any, share: int, fit: Callable[[Part], None]):
        """Hold them."""
        self.place, self.share, self.fit = place, share, fit

    def run(self, part: Part, stop: threading.Event) -> None:
        """Fit a part; errors of markets are their status."""
        with working_on(self.place, self.share, stop):
            self.fit(part)

    def close(self) -> None:
        """Nothing is held."""
