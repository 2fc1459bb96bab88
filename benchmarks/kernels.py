"""How fast are adstock and saturation, forward and gradient, against the alternatives?

Response = logistic(geometric adstock of media); the gradient is that of a weighted sum of
it in the retention of every lane. Each alternative is compiled apart, run warm, and its
gradient compared with a float64 one in NumPy. ``--kinds``: every adstock and saturation of
the library instead, its gradient in all parameters beside that of geometric and logistic.
"""

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from common import compiled, medians, options, show, write

from mmmjax.kernels import adstock
from mmmjax.kernels.saturation import SATURATIONS, Logistic, logistic
from mmmjax.prior import FAMILIES

CHANNELS = 10
SIZES = {"batch": (1, 64, 1024), "time": (200, 1000), "max_lag": (6, 13, 26)}
SMOKE = {"batch": (2,), "time": (20,), "max_lag": (3,)}
TOLERANCE = 1e-3  # of a float32 gradient, relative to the largest
LOOP = 300  # evaluations in one program, as inside a sampler


class Way(NamedTuple):
    """One way to compute adstock, on arrays laid out for it."""

    carry: Callable[..., Any]  # media, retention (batch, channel), max_lag
    place: Callable[[np.ndarray, int], np.ndarray]  # media of all lanes to its layout
    time_last: bool = True
    shared: bool = False  # one media table for all lanes
    numbers: Callable[[int, int], int] = lambda time, max_lag: 1  # cost per media number


def weights_of(retention: Any, max_lag: int) -> Any:
    """Normalised geometric weights, lags last."""
    weights = retention[..., None] ** np.arange(max_lag)
    return weights / weights.sum(-1, keepdims=True)


def gathered(media: Any, retention: Any, max_lag: int) -> Any:
    """Gather every window, then contract."""
    time = media.shape[-1]
    padded = jnp.pad(media, [(0, 0), (0, 0), (max_lag - 1, 0)])
    window = np.arange(time)[:, None] + np.arange(max_lag)[::-1]
    return jnp.einsum("bctl,bcl->bct", padded[..., window], weights_of(retention, max_lag))


def toeplitz(media: Any, retention: Any, max_lag: int) -> Any:
    """One (time, time) matrix a series."""
    lag = np.arange(media.shape[-1])[:, None] - np.arange(media.shape[-1])
    inside = (lag >= 0) & (lag < max_lag)
    weights = weights_of(retention, max_lag)[..., np.clip(lag, 0, max_lag - 1)]
    return jnp.einsum("bcts,bcs->bct", jnp.where(inside, weights, 0.0), media)


def grouped(media: Any, retention: Any, max_lag: int) -> Any:
    """A convolution with one group a series."""
    flat = media.reshape(1, -1, media.shape[-1])
    kernel = weights_of(retention, max_lag)[..., ::-1].reshape(-1, 1, max_lag)
    out = jax.lax.conv_general_dilated(
        flat, kernel, (1,), [(max_lag - 1, 0)], feature_group_count=flat.shape[1]
    )
    return out.reshape(media.shape)


def plain(media: Any, retention: Any, max_lag: int) -> Any:
    """Shifted sum with time last, differentiated by autodiff."""
    return adstock.carry(media, weights_of(retention, max_lag))


def plain_channel_last(media: Any, retention: Any, max_lag: int) -> Any:
    """Shifted sum on (batch, time, channel), as people lay tables out."""
    return shifted_channel_last(media, weights_of(retention, max_lag))


def shifted_channel_last(media: Any, weights: Any) -> Any:
    """Causal sum over lags on (batch, time, channel)."""
    time, max_lag = media.shape[1], weights.shape[-1]
    padded = jnp.pad(media, [(0, 0), (max_lag - 1, 0), (0, 0)])
    starts = [max_lag - 1 - lag for lag in range(max_lag)]
    return sum(
        weights[:, None, :, lag] * padded[:, first : first + time]
        for lag, first in enumerate(starts)
    )


@jax.custom_jvp
def _ruled(media: Any, weights: Any, slopes: Any, retention: Any) -> Any:
    return jax.lax.optimization_barrier(shifted_channel_last(media, weights))


@_ruled.defjvp
def _(primals: Any, tangents: Any) -> Any:
    along = jax.lax.optimization_barrier(shifted_channel_last(primals[0], primals[2]))
    return _ruled(*primals), along * tangents[3][:, None, :]


def ruled_channel_last(media: Any, retention: Any, max_lag: int) -> Any:
    """The custom rule on (batch, time, channel)."""
    fixed = jax.lax.stop_gradient(retention)
    weights, slopes = jax.jvp(
        lambda r: weights_of(r, max_lag), (fixed,), (jnp.ones_like(fixed),)
    )
    return _ruled(media, weights, slopes, retention)


def fourier(media: Any, retention: Any, max_lag: int) -> Any:
    """Product of Fourier transforms along time, on (batch, time, channel)."""
    time = media.shape[1]
    length = 1 << math.ceil(math.log2(time + max_lag - 1))
    weights = jnp.swapaxes(weights_of(retention, max_lag), 1, 2)
    spectra = jnp.fft.rfft(media, length, axis=1) * jnp.fft.rfft(weights, length, axis=1)
    return jnp.fft.irfft(spectra, length, axis=1)[:, :time]


def lagged_table(media: np.ndarray, max_lag: int) -> np.ndarray:
    """Media of the first lane, once for every lag: (channel, lag, time)."""
    padded = np.pad(media[0], [(0, 0), (max_lag - 1, 0)])
    time = media.shape[-1]
    lags = [padded[:, max_lag - 1 - lag :][:, :time] for lag in range(max_lag)]
    return np.stack(lags, axis=1)


def as_product(lagged: Any, retention: Any, max_lag: int) -> Any:
    """Lagged media, laid out once, times the weights of all lanes: a matrix product."""
    return jnp.einsum("bcl,clt->bct", weights_of(retention, max_lag), lagged)


def over_lanes(media: Any, retention: Any, max_lag: int) -> Any:
    """The library's kernel, one media table under many retentions."""
    return jax.vmap(lambda r: adstock.geometric(media, r, max_lag))(retention)


OURS = "mmmjax: time last, rule"
SHARED = "mmmjax, lanes share media"
as_is = lambda media, max_lag: media
channel_last = lambda media, max_lag: np.ascontiguousarray(np.swapaxes(media, 1, 2))
WAYS = {
    OURS: Way(adstock.geometric, as_is),
    "time last, autodiff": Way(plain, as_is),
    "(batch, time, channel), autodiff": Way(plain_channel_last, channel_last, False),
    "(batch, time, channel), rule": Way(ruled_channel_last, channel_last, False),
    "FFT": Way(fourier, channel_last, False),
    "gathered windows": Way(gathered, as_is, numbers=lambda time, max_lag: max_lag),
    "Toeplitz matrix": Way(toeplitz, as_is, numbers=lambda time, max_lag: time),
    "grouped convolution": Way(grouped, as_is, numbers=lambda time, max_lag: 8 * max_lag),
    SHARED: Way(over_lanes, lambda media, max_lag: media[0], shared=True),
    "lagged table x weights, shared": Way(as_product, lagged_table, shared=True),
}


def data(batch: int, time: int) -> dict[str, np.ndarray]:
    """Media in [0, 1) with a tenth of the periods dark; float64."""
    rng = np.random.default_rng(0)
    media = rng.uniform(size=(batch, CHANNELS, time))
    return {
        "media": media * (rng.uniform(size=media.shape) > 0.1),
        "retention": rng.uniform(0.05, 0.95, (batch, CHANNELS)),
        "lam": rng.uniform(0.5, 4.0, (batch, CHANNELS)),
        "target": rng.normal(size=media.shape),
    }


def exact_gradient(case: dict[str, np.ndarray], max_lag: int) -> np.ndarray:
    """Gradient of sum(target * response) in retention: closed form, NumPy, float64."""
    media, r = case["media"], case["retention"][..., None]
    half = case["lam"][..., None] / 2
    lags = np.arange(max_lag)
    power, slope = r**lags, lags * r ** np.maximum(lags - 1, 0)
    total = power.sum(-1, keepdims=True)
    sums = [power / total, slope / total - power * slope.sum(-1, keepdims=True) / total**2]
    carried = [np.zeros_like(media), np.zeros_like(media)]
    for out, weights in zip(carried, sums, strict=True):
        for lag in lags:
            out[..., lag:] += weights[..., lag, None] * media[..., : media.shape[-1] - lag]
    bend = half / np.cosh(half * carried[0]) ** 2
    return (case["target"] * bend * carried[1]).sum(-1)


def programs(way: Way, max_lag: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward and gradient in retention, of (retention, media, lam, target)."""

    def forward(retention: Any, media: Any, lam: Any) -> Any:
        carried = way.carry(media, retention, max_lag)
        if way.time_last:
            return logistic(carried, lam)
        return jnp.tanh(0.5 * lam[:, None, :] * carried)

    def loss(retention: Any, media: Any, lam: Any, target: Any) -> Any:
        return (forward(retention, media, lam) * target).sum()

    return forward, jax.grad(loss)


def arguments(way: Way, case: dict[str, np.ndarray], max_lag: int) -> list[Any]:
    """Retention, media, lam and target in float32, laid out for a way."""
    media = way.place(case["media"], max_lag)
    target = case["target"] if way.time_last else channel_last(case["target"], max_lag)
    raw = (case["retention"], media, case["lam"], target)
    return [jnp.asarray(a, jnp.float32) for a in raw]


def measure(batch: int, time: int, max_lag: int, rounds: int) -> list[dict[str, Any]]:
    """One row per way at one size."""
    case = data(batch, time)
    one_table = {**case, "media": np.broadcast_to(case["media"][:1], case["media"].shape)}
    exact = {s: exact_gradient(one_table if s else case, max_lag) for s in (False, True)}
    rows, calls = [], {}
    for name, way in WAYS.items():
        size = {"way": name, "batch": batch, "time": time, "max_lag": max_lag}
        if batch * time * way.numbers(time, max_lag) > 8e6:
            rows.append(size | {"skipped": "too large or too slow at this size"})
            continue
        forward, gradient = programs(way, max_lag)
        args = arguments(way, case, max_lag)
        run_forward, compile_forward = compiled(forward, *args[:3])
        run_gradient, compile_gradient = compiled(gradient, *args)
        wrong = np.abs(np.asarray(run_gradient(*args)) - exact[way.shared])
        calls[name, "forward"] = lambda run=run_forward, args=args: run(*args[:3])
        calls[name, "gradient"] = lambda run=run_gradient, args=args: run(*args)
        rows.append(
            size
            | {
                "compile_forward_s": compile_forward,
                "compile_gradient_s": compile_gradient,
                "error": float(wrong.max() / np.abs(exact[way.shared]).max()),
            }
        )
    times = medians(calls, rounds)
    for row in rows:
        if "skipped" not in row:
            forward_s, gradient_s = (times[row["way"], k] for k in ("forward", "gradient"))
            row |= {"forward_ms": 1e3 * forward_s, "gradient_ms": 1e3 * gradient_s}
            row["ratio"] = gradient_s / forward_s
            row["gradient_to_ours"] = gradient_s / times[OURS, "gradient"]
    return rows


def measure_in_a_loop(channels: int, time: int, max_lag: int, rounds: int) -> list[dict]:
    """Microseconds an evaluation of one market, one lane, as a sampler calls it."""
    rng = np.random.default_rng(0)
    lane = (1, channels)
    media = jnp.asarray(rng.uniform(size=(*lane, time)), jnp.float32)
    retention = jnp.asarray(rng.uniform(0.1, 0.9, lane), jnp.float32)
    lam = jnp.asarray(rng.uniform(0.5, 4.0, lane), jnp.float32)
    target = jnp.asarray(rng.normal(size=time), jnp.float32)
    calls = {}
    for name in (OURS, "time last, autodiff"):
        forward, _ = programs(WAYS[name], max_lag)

        def loss(r: Any, media: Any, lam: Any, target: Any, forward: Any = forward) -> Any:
            return ((forward(r, media, lam).sum((0, 1)) - target) ** 2).sum()

        def chained(function: Any) -> Any:
            def program(retention: Any, *rest: Any) -> Any:
                step = lambda _, r: r - 1e-9 * function(r, *rest)
                return jax.lax.fori_loop(0, LOOP, step, retention)

            return program

        for kind, function in (("forward", loss), ("gradient", jax.grad(loss))):
            run, _ = compiled(chained(function), retention, media, lam, target)
            calls[name, kind] = lambda run=run: run(retention, media, lam, target)
    times = medians(calls, rounds)
    rows = []
    for name in (OURS, "time last, autodiff"):
        forward_s, gradient_s = (times[name, k] / LOOP for k in ("forward", "gradient"))
        rows.append(
            {"way": name, "channels": channels, "time": time, "max_lag": max_lag,
             "forward_us": 1e6 * forward_s, "gradient_us": 1e6 * gradient_s,
             "ratio": gradient_s / forward_s}
        )  # fmt: skip
    return rows


def measure_kinds(batch: int, time: int, rounds: int) -> list[dict[str, Any]]:
    """One row per kind: its gradient beside the usual one's, and against float64."""
    rng = np.random.default_rng(0)
    case, usual = data(batch, time), (adstock.Geometric(), Logistic())
    pairs: list[tuple[Any, Any]] = [usual]
    pairs += [(kind(), usual[1]) for kind in adstock.ADSTOCKS.values()][1:]
    pairs += [(usual[0], kind()) for kind in SATURATIONS.values()][1:]
    pairs = [pair for pair in pairs if "mixed" not in (pair[0].kind, pair[1].kind)]
    rows, calls = [], {}
    for carry, curve in pairs:
        asked = {**carry.parameters(), **curve.parameters()}
        drawn = {
            name: FAMILIES[one.prior.family].quantile(
                rng.uniform(0.05, 0.95, (batch, CHANNELS)), **dict(one.prior.params)
            )
            for name, one in asked.items()
        }

        def loss(p: Any, media: Any, target: Any, carry: Any = carry, curve: Any = curve):
            return (curve(carry(media, p), p) * target).sum()

        args = (drawn, case["media"], case["target"])
        single = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), args)
        run, seconds = compiled(jax.grad(loss), *single)
        with jax.enable_x64(True):
            exact = jax.grad(loss)(*jax.tree.map(np.asarray, args))
        wrong = [
            np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max()
            for a, b in zip(
                jax.tree.leaves(run(*single)), jax.tree.leaves(exact), strict=True
            )
        ]
        way = f"{carry.kind}, {curve.kind}"
        calls[way] = lambda run=run, single=single: run(*single)
        row = {"way": way, "batch": batch, "time": time, "parameters": len(asked)}
        rows.append(row | {"compile_gradient_s": seconds, "error": float(max(wrong))})
    times = medians(calls, rounds)
    for row in rows:
        row["gradient_ms"] = 1e3 * times[row["way"]]
        row["ratio"] = times[row["way"]] / times[rows[0]["way"]]
    return rows


def kinds(smoke: bool, out: Any) -> int:
    """Run, print and write what ``--kinds`` asks for; exit 1 if a gradient is wrong."""
    rows: list[dict[str, Any]] = []
    for batch, time in ((2, 20),) if smoke else ((1, 183), (64, 183)):
        found = measure_kinds(batch, time, 1 if smoke else 15)
        columns = ("parameters", "gradient_ms", "ratio", "compile_gradient_s", "error")
        title = f"gradient in all parameters, batch {batch}, {CHANNELS} channels, {time}"
        show(title, ("way", *columns), [[r["way"], *map(r.get, columns)] for r in found])
        rows += found
    write("kernel_kinds", rows, out)
    return 1 if any(row["error"] > TOLERANCE for row in rows) else 0


def main() -> int:
    """Run, print, write; exit 1 if a gradient is wrong."""
    parser = options(__doc__ or "")
    parser.add_argument("--kinds", action="store_true", help="every kind of the library")
    asked = parser.parse_args()
    if asked.kinds:
        return kinds(asked.smoke, asked.out)
    sizes = SMOKE if asked.smoke else SIZES
    rounds = 1 if asked.smoke else 7
    rows: list[dict[str, Any]] = []
    for batch, time, max_lag in itertools.product(*sizes.values()):
        found = measure(batch, time, max_lag, rounds)
        columns = ("forward_ms", "gradient_ms", "ratio", "gradient_to_ours",
                   "compile_forward_s", "compile_gradient_s", "error")  # fmt: skip
        title = f"batch {batch}, {CHANNELS} channels, {time} periods, max_lag {max_lag}"
        show(title, ("way", *columns), [[r["way"], *map(r.get, columns)] for r in found])
        rows += found
    looped = [
        row
        for size in ([(2, 20, 3)] if asked.smoke else [(7, 183, 6), (7, 183, 13)])
        for row in measure_in_a_loop(*size, rounds)
    ]
    columns = ("channels", "time", "max_lag", "forward_us", "gradient_us", "ratio")
    title = f"one lane inside a loop of {LOOP}, per evaluation (loss and its gradient)"
    show(title, ("way", *columns), [[r["way"], *map(r.get, columns)] for r in looped])
    ours = [row["ratio"] for row in rows if row["way"] == OURS]
    print(f"mmmjax gradient / forward: {min(ours):.2f} to {max(ours):.2f} (aim: at most 4)")
    write("kernels", rows, asked.out, one_lane=looped)
    wrong = [row for row in rows if row.get("error", 0.0) > TOLERANCE]
    for row in wrong:
        print(f"WRONG GRADIENT: {row}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
