"""Programs: functions traced once per structure and shape, and kept between processes.

Tracing and lowering take Python longer than the compiler needs with a warm cache. So where
JAX's persistent compilation cache is on, the traced program (StableHLO, data, no code of
Python) is kept beside it, under a name made of everything it depends on: the function and
its static arguments, shapes and types, every source file of this package, the versions of
the libraries, the device. What cannot be named so (a function of somebody else's, a lambda)
is traced in every process, as is everything where the cache is off.
"""

import contextlib
import ctypes
import dataclasses
import functools
import gc
import hashlib
import importlib.metadata
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import jax
import numpy as np
from jax import export

__all__ = ["Program", "compiled", "device", "program"]

PACKAGE = __name__.partition(".")[0]
SUFFIX = ".stablehlo"
LEFT = 2**27  # bytes that compilers may leave behind before they are given back
MOST = 512  # programs held in memory; that which was not used for longest goes first
_LIBRARIES = ("jax", "jaxlib", "numpyro", "blackjax", "optax", "numpy")
_SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_numpy_dtype_promotion",
    "jax_threefry_partitionable",
)
_PROGRAMS: dict[Any, "Program"] = {}
_TURNS: dict[Any, threading.Lock] = {}
# bytes, and mappings of memory, held from which on they are looked after
_TIDY = {"at": 0, "mappings": 0}
_TRACING = threading.Lock()  # NumPyro's handlers are one stack for all threads

QUICK = 1
"""Level of LLVM's optimisation on a CPU: a quarter to a third less to compile than its
highest, 3, and as fast to run, but for what transposes large arrays (half as fast)."""

type Measure = Callable[[Any], int]


def device() -> Any:
    """The device that this thread's programs are compiled for and run on."""
    asked = jax.config.jax_default_device
    return asked if isinstance(asked, jax.Device) else jax.local_devices(backend=asked)[0]


def _options(level: int) -> dict[str, Any]:
    """How XLA compiles for this thread's device.

    On a CPU with vectors as wide as it has them: 6% faster than XLA's own choice, 256 bits.
    """
    if device().platform != "cpu":
        return {}
    return {"xla_backend_optimization_level": level, "xla_cpu_prefer_vector_width": 512}


@dataclasses.dataclass
class Program:
    """A traced program; compiled when it is first run.

    Args:
        lower: Makes what JAX compiles, which takes the leaves of the arguments: of a
            program that is measured and never run it is not made.
        tree: Structure of the results.
        out: Shape and type of each leaf of the results.
        size: What ``measure`` made of the traced program.
        seconds: Spent so far on tracing and compiling.
        options: For XLA.
        x64: Whether it was traced with 64 bits.
    """

    lower: Callable[[], Any]
    tree: Any
    out: tuple[tuple[tuple[int, ...], Any], ...]
    size: int
    seconds: float
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    x64: bool = dataclasses.field(default_factory=lambda: jax.config.jax_enable_x64)
    _made: Any = None
    _turn: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def ready(self) -> bool:
        """Whether it is compiled."""
        return self._made is not None

    @property
    def executable(self) -> Any:
        """The compiled program, of the leaves of the arguments."""
        with self._turn:
            if self._made is None:
                start = time.perf_counter()
                # to lower may trace; in the precision of the trace, whoever asks now
                with _TRACING, jax.enable_x64(self.x64):
                    lowered = self.lower()
                self._made = lowered.compile(compiler_options=self.options)
                _tidy()
                self.seconds += time.perf_counter() - start
        return self._made

    def __call__(self, *args: Any) -> Any:
        """Run with arguments of the shapes and types it was traced for; any thread."""
        return self.executable(*jax.tree.leaves(args))


def compiled(
    function: Callable[..., Any], static: Mapping[str, Any], *args: Any
) -> tuple[Program, float]:
    """The program of ``function(*args, **static)``, compiled, and the seconds spent.

    Args:
        function: Pure; traced once per distinct ``static`` and argument shapes.
        static: Hashable keyword arguments that the program depends on.
        *args: Pytrees of arrays; only their shapes, types and tree structure matter.

    Returns:
        A program that takes ``*args`` from any thread, and the seconds that tracing and
        compiling took now (0 if it was at hand).
    """
    found = program(function, static, *args)
    ready = found.ready
    _ = found.executable
    return found, 0.0 if ready else found.seconds


def program(
    function: Callable[..., Any],
    static: Mapping[str, Any],
    *args: Any,
    measure: Measure | None = None,
    level: int = QUICK,
) -> Program:
    """The program of ``function(*args, **static)``, not yet compiled.

    Arguments as :func:`compiled`; leaves may be :class:`jax.ShapeDtypeStruct`. ``measure``
    makes one number of its jaxpr, which is kept with it; ``level`` is how much LLVM
    optimises, see :data:`QUICK`. It runs on this thread's :func:`device`; each device has a
    program of its own.
    """
    leaves, tree = jax.tree.flatten(args)
    shapes = tuple((x.shape, str(x.dtype)) for x in leaves)
    where = (device(), jax.config.jax_enable_x64)
    key = (function, tuple(sorted(static.items())), tree, shapes, level, where)
    with _TURNS.setdefault(key, threading.Lock()):  # other programs are made meanwhile
        made = _PROGRAMS.pop(key, None)  # and put last: what is used stays
        if made is None:
            start = time.perf_counter()
            made = _make(function, static, leaves, tree, measure)
            made.options = _options(level)
            made.seconds = time.perf_counter() - start
            while len(_PROGRAMS) >= MOST:
                _PROGRAMS.pop(next(iter(_PROGRAMS)), None)
        _PROGRAMS[key] = made
        return made


def _make(
    function: Callable[..., Any],
    static: Mapping[str, Any],
    leaves: list[Any],
    tree: Any,
    measure: Measure | None,
) -> Program:
    def flat(*leaves: Any) -> Any:
        return function(*jax.tree.unflatten(tree, leaves), **static)

    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves]
    path = _place(function, static, shapes, tree)
    kept = None if path is None else _read(path)
    if kept is None:
        jitted = jax.jit(flat)
        with _TRACING:
            traced = jitted.trace(*shapes)
            size = measure(traced.jaxpr.jaxpr) if measure else 0
            kept = None if path is None else _keep(path, jitted, shapes, size)
            if kept is None:  # nowhere, or no form, to keep it in
                out, out_tree = jax.tree.flatten(traced.out_info)
                return Program(traced.lower, out_tree, _shapes(out), size, 0.0)
    exported, size = kept
    lower = functools.partial(jax.jit(exported.call).lower, *shapes)
    return Program(lower, exported.out_tree, _shapes(exported.out_avals), size, 0.0)


def _shapes(leaves: Any) -> tuple[tuple[tuple[int, ...], Any], ...]:
    return tuple((tuple(x.shape), np.dtype(x.dtype)) for x in leaves)


def _keep(path: Path, jitted: Any, shapes: list[Any], size: int) -> Any:
    """Write a traced program in one step; what is kept, None where it cannot be."""
    try:
        exported = export.export(jitted)(*shapes)
        header = json.dumps({"size": size}).encode()
        content = len(header).to_bytes(8, "little") + header + exported.serialize()
    except (ValueError, NotImplementedError):  # a type or an operation that has no form
        return None
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:  # a full or read-only disk costs the next process its time, not this
        temporary.unlink(missing_ok=True)
    return exported, size


def _read(path: Path) -> Any:
    """A kept program and its size; None if there is none, or none that can be read."""
    try:
        content = path.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        size = int(json.loads(content[8:start])["size"])
        return export.deserialize(bytearray(content[start:])), size
    except FileNotFoundError:
        return None
    except Exception:  # damaged, or of a version that changed its form: traced again
        return None


def _place(
    function: Any, static: Mapping[str, Any], shapes: list[Any], tree: Any
) -> Path | None:
    """File of a program; None where none are kept or it cannot be named."""
    folder = jax.config.jax_compilation_cache_dir
    if not folder or not jax.config.jax_enable_compilation_cache or "://" in folder:
        return None
    try:
        what = (_named(function), _named(static))
    except TypeError:
        return None
    if re.search(rf"<class '(?!{PACKAGE}\.)", str(tree)):  # facts of somebody else's
        return None
    kind = device()
    parts = (
        *what, str(tree), [(x.shape, str(x.dtype)) for x in shapes],
        _sources(), _versions(), [getattr(jax.config, name, None) for name in _SETTINGS],
        kind.platform, kind.device_kind,
    )  # fmt: skip
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()
    return Path(folder) / f"{PACKAGE}-{digest}{SUFFIX}"


def _named(what: Any) -> str:
    """A text that says all that a static argument is.

    Raises:
        TypeError: It is not of this package, or nothing that such a text can be made of.
    """
    if what is None or isinstance(what, str | int | float | bool):
        return repr(what)
    if isinstance(what, Mapping):
        return f"{{{', '.join(f'{k!r}: {_named(v)}' for k, v in sorted(what.items()))}}}"
    kind = what if isinstance(what, FunctionType) else type(what)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(what, tuple | list):
        return f"{name}({', '.join(map(_named, what))})"
    if f"{kind.__module__}.".partition(".")[0] != PACKAGE or "<lambda>" in name:
        raise TypeError(f"{what!r} is not of this package")
    if isinstance(what, FunctionType):
        return f"{name}{[_named(cell.cell_contents) for cell in what.__closure__ or ()]}"
    if dataclasses.is_dataclass(what):
        fields = {f.name: getattr(what, f.name) for f in dataclasses.fields(what)}
        return f"{name}{_named(fields)}"
    raise TypeError(f"{what!r} has no fields to be named by")


def _tidy() -> None:
    """Give back what compilers have freed, and what they hold, once it may be much.

    The C library keeps it for each thread that compiled: half of a GB after a panel's fit.
    Every program of XLA on a CPU maps some pages, and a compiler that Linux refuses one
    more mapping (65,530 a process) crashes: after some hundred models all programs are
    forgotten, those of JAX too; what is run again is compiled again.
    """
    with contextlib.suppress(OSError, AttributeError):  # not Linux, not its C library
        if (held := _held()) > _TIDY["at"]:
            gc.collect()
            ctypes.CDLL("libc.so.6").malloc_trim(0)
            _TIDY["at"] = min(held, _held()) + LEFT
        most = int(Path("/proc/sys/vm/max_map_count").read_text())
        if _mappings() > max(_TIDY["mappings"], most // 2):
            _PROGRAMS.clear()
            jax.clear_caches()
            gc.collect()
            _TIDY["mappings"] = _mappings() + most // 4


def _mappings() -> int:
    """Mappings of memory that this process has."""
    return Path("/proc/self/maps").read_bytes().count(b"\n")


def _held() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@functools.cache
def _sources() -> str:
    """Hash of every source file of this package."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _versions() -> tuple[str, ...]:
    return tuple(importlib.metadata.version(name) for name in _LIBRARIES)
