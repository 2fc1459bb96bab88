"""Returns of a channel over the markets of a fleet: each its own, and all together.

Per channel, of the markets i with a usable fit, on the log scale::

    log ROAS_i estimated as y_i +- s_i,    y_i ~ Normal(theta_i, s_i)
    theta_i ~ Normal(mu, tau),             mu flat, tau ~ HalfNormal(tau_scale)

The posterior of tau is computed on a grid, mu and theta given tau are normal. A market that
knows little leans on the others, one that knows much stays where it is.

Source: Gelman et al., Bayesian Data Analysis, 3rd edition, section 5.4, equations 5.17
(theta), 5.20 (mu) and 5.21 (tau); the half-normal prior of tau: Roever et al. (2021),
Research Synthesis Methods 12, 448-474; I2: Higgins and Thompson (2002), Statistics in
Medicine 21, 1539-1558.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail, listing
from mmmjax.fleet.engine import USABLE

__all__ = ["FleetReturns", "fleet_returns"]

PROB = 0.94
GEO_SUM = "ALL"  # of a fit's channels.csv
NEEDED = ("market", "geo", "channel", "spend", "roas_mean", "roas_lo", "roas_hi")
WIDEST = 1.5  # sd of log ROAS: beyond it mean and interval do not tell it
GRID = 201  # values of tau
NEGLIGIBLE = 30.0  # log density below that of the best tau from which it is left out


class FleetReturns(NamedTuple):
    """ROAS over the markets of a fleet, outcome units per unit of money.

    With ``in_money`` it is money per unit of money, break-even 1: each market's outcome
    has a value (``outcome_value`` of its panel), by which its ROAS was multiplied.

    ``markets`` has a row for each market and channel: market, channel, spend, roas_mean,
    roas_lo, roas_hi (its own, 94% HDI), shrunk_mean, shrunk_lo, shrunk_hi (given all
    markets, 94% HDI; empty where the own mean is not above 0), weight (that of its own
    data, 0 to 1) and rough (whether a log-normal describes its posterior poorly).

    ``channels`` has a row for each channel: channel, markets (how many), rough (how many),
    typical, typical_lo, typical_hi (exp mu, the median market), tau, tau_lo, tau_hi (sd of
    log ROAS between markets), new_lo, new_hi (ROAS of a market that is not in the fleet)
    and i2 (share of the variance of own estimates that is between markets). Medians and
    equal-tailed 94% intervals.
    """

    markets: pd.DataFrame
    channels: pd.DataFrame
    in_money: bool = False


@checked
def fleet_returns(
    channels: pd.DataFrame,
    table: pd.DataFrame | None = None,
    *,
    tau_scale: float = 1.0,
) -> FleetReturns:
    """ROAS by channel across markets, each market's own and shrunk towards the others.

    The posterior of a market's ROAS is taken to be log-normal: its sd on the log scale is
    the one with which mean and 94% HDI of ``channels`` agree. That is good for estimates
    away from 0; where a posterior heaps up at 0 its log has a long tail to the left that
    no such sd tells. Those rows are marked ``rough``: read their own interval, not the
    shrunk one. A market's posterior counts with its priors in it: what looks alike may be
    alike because all markets were given one prior, and tau is then too small.

    Args:
        channels: ``fleet.channels``, or the file channels.csv of a fleet: the rows of geo
            "ALL" are used.
        table: ``fleet.table`` or fleet.csv: only markets that converged are used, and
            where each of them has an ``outcome_value`` returns are in money. None: all
            markets in ``channels``, in outcome units.
        tau_scale: Sd of the half-normal prior of tau, log scale: 1 lets typical markets
            differ by a factor of 2.7. From ten markets on it hardly matters.

    Raises:
        InputError: A column is missing, a market has no sum over geos, or no market can
            be used.
    """
    tau_scale = checks.number("tau_scale", tau_scale, low=0, open_low=True)
    rows, in_money = valued(usable_rows(channels, table), table)
    rows = rows.loc[rows["roas_mean"].notna()]
    if rows.empty:
        got, allowed = Phrase("no return of a usable market"), "markets that converged"
        fail("channels", got, "", f"{allowed}, with spend", "fleet.table says why")
    of_markets, of_channels = [], []
    for name, own in rows.groupby("channel", sort=False):
        shrunk, told = _channel(own, tau_scale)
        of_markets.append(shrunk)
        of_channels.append({"channel": name, **told})
    found = pd.concat(of_markets).sort_index().reset_index(drop=True)
    return FleetReturns(found, pd.DataFrame(of_channels), in_money)


def usable_rows(channels: pd.DataFrame, table: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of geo "ALL" of the markets that converged, in the order of the fleet."""
    missing = [name for name in NEEDED if name not in channels]
    if missing:
        fail("channels", Phrase(f"no column {missing[0]}"), "", listing(NEEDED, 20),
             "fleet.channels, or pd.read_csv of the run's channels.csv")  # fmt: skip
    rows = channels.loc[channels["geo"].astype(str) == GEO_SUM]
    without = set(channels["market"]) - set(rows["market"])
    if without:
        where = f'for market "{sorted(map(str, without))[0]}"'
        got, allowed = Phrase(f'no row of geo "{GEO_SUM}"'), "each market's sum over geos"
        fail("channels", got, where, allowed, "mm.tables.channels(fit) has it")
    if table is not None:
        good = table.loc[table["status"].isin(USABLE)]
        rows = rows.loc[rows["market"].astype(str).isin(set(good["market"].astype(str)))]
    twice = rows.duplicated(["market", "channel"])
    if twice.any():
        row = rows.loc[twice].iloc[0]
        where = f'for market "{row.market}", channel "{row.channel}"'
        fail("channels", Phrase("two rows"), where, "one", "drop the copies")
    return rows.reset_index(drop=True)


def valued(rows: pd.DataFrame, table: pd.DataFrame | None) -> tuple[pd.DataFrame, bool]:
    """Rows of channels.csv, in money if all usable markets have a value; if they have."""
    if table is None or "outcome_value" not in table:  # a table of an earlier version
        return rows, False
    usable = table.loc[table["status"].isin(USABLE)]
    if usable.empty or usable["outcome_value"].isna().any():
        return rows, False
    of = dict(zip(table["market"].astype(str), table["outcome_value"], strict=True))
    value = rows["market"].astype(str).map(of.get).astype(float)
    returns = [str(x) for x in rows if str(x).startswith(("roas_", "mroas_"))]
    return rows.assign(**{x: value * rows[x] for x in returns}), True


class _Given(NamedTuple):
    """What is known of theta and mu, mixed over a grid of tau."""

    tau: Float[np.ndarray, " tau"]
    weight: Float[np.ndarray, " tau"]
    mu: Float[np.ndarray, " tau"]
    mu_var: Float[np.ndarray, " tau"]


def _channel(own: pd.DataFrame, tau_scale: float) -> tuple[pd.DataFrame, dict[str, float]]:
    """One channel: its rows with shrunk ROAS, and what its markets have in common."""
    roas = own[["roas_mean", "roas_lo", "roas_hi"]].to_numpy(float).T
    y, s, rough = log_moments(*roas)
    known = np.isfinite(y)
    columns = ["market", "channel", "spend", "roas_mean", "roas_lo", "roas_hi"]
    shown = own[columns].assign(
        shrunk_mean=np.nan, shrunk_lo=np.nan, shrunk_hi=np.nan, weight=np.nan, rough=rough
    )
    told: dict[str, float] = {"markets": len(own), "rough": int(rough.sum())}
    names = ("typical", "typical_lo", "typical_hi", "tau", "tau_lo", "tau_hi", "new_lo",
             "new_hi", "i2")  # fmt: skip
    if not known.any():
        return shown, told | dict.fromkeys(names, np.nan)
    given = _between(y[known], s[known], tau_scale)
    mean, sd, weight = _shrunk(y[known], s[known], given)
    names_of = ["shrunk_mean", "shrunk_lo", "shrunk_hi", "weight"]
    places = own.index[known]
    shown.loc[places, names_of] = np.column_stack([*log_normal(mean, sd), weight])
    ends = ((1 - PROB) / 2, 0.5, (1 + PROB) / 2)
    spread = [np.interp(p, _cumulative(given), given.tau) for p in ends]
    lo, middle, hi = (np.exp(_quantile(given, 0.0, p)) for p in ends)
    new = [np.exp(_quantile(given, 1.0, p)) for p in (ends[0], ends[2])]
    values = (middle, lo, hi, spread[1], spread[0], spread[2], *new,
              _i2(spread[1], s[known]))  # fmt: skip
    return shown, told | dict(zip(names, map(float, values), strict=True))


def _between(y: np.ndarray, s: np.ndarray, tau_scale: float) -> _Given:
    """The posterior of tau on a grid, and of mu given tau."""
    low, high = 0.0, 6.0 * tau_scale
    for _ in range(3):  # closer and closer to where the density is
        tau = np.linspace(low, high, GRID)
        var = s[:, None] ** 2 + tau**2
        mu_var = 1 / np.sum(1 / var, axis=0)
        mu = mu_var * np.sum(y[:, None] / var, axis=0)
        squares = np.sum((y[:, None] - mu) ** 2 / var, axis=0)
        log = 0.5 * (np.log(mu_var) - np.sum(np.log(var), axis=0) - squares)
        log = log - 0.5 * (tau / tau_scale) ** 2
        there = np.flatnonzero(log > log.max() - NEGLIGIBLE)
        low, high = tau[max(there[0] - 1, 0)], tau[min(there[-1] + 1, GRID - 1)]
    density = np.exp(log - log.max())
    density[[0, -1]] /= 2  # trapezoids
    return _Given(tau, density / density.sum(), mu, mu_var)


def _shrunk(y: np.ndarray, s: np.ndarray, given: _Given) -> tuple[np.ndarray, ...]:
    """Mean and sd of log ROAS of every market, and the weight of its own data."""
    own = given.tau**2 / (given.tau**2 + s[:, None] ** 2)
    each = given.mu + own * (y[:, None] - given.mu)
    var = own * s[:, None] ** 2 + (1 - own) ** 2 * given.mu_var
    mean = each @ given.weight
    total = (var + (each - mean[:, None]) ** 2) @ given.weight
    return mean, np.sqrt(total), own @ given.weight


def _cumulative(given: _Given) -> np.ndarray:
    """Probability below each tau of the grid."""
    return np.cumsum(given.weight) - given.weight / 2


def _quantile(given: _Given, spread: float, p: float) -> float:
    """A quantile of mu (spread 0), or of log ROAS of another market (1)."""
    sd = np.sqrt(given.mu_var + spread * given.tau**2)
    off = lambda x: float(given.weight @ ndtr((x - given.mu) / sd)) - p
    reach = 9 * sd.max()
    low, high = float(given.mu.min() - reach), float(given.mu.max() + reach)
    root: Any = brentq(off, low, high, xtol=1e-10)
    return float(root)


def _i2(tau: float, s: np.ndarray) -> float:
    """Share of the variance of estimates that is between markets; NaN for one market."""
    w = 1 / s**2
    rest = w.sum() ** 2 - np.sum(w**2)
    if len(s) < 2 or rest <= 0:
        return np.nan
    typical = (len(s) - 1) * w.sum() / rest
    return tau**2 / (tau**2 + typical)


def _half_width(sd: np.ndarray) -> np.ndarray:
    """Half the width of the HDI of a log-normal on the log scale, where it is symmetric.

    The density of exp(sd z) is highest around exp(-sd^2): [-sd^2 - h, -sd^2 + h] holds
    94%. Newton steps from the width without skew.
    """
    u = np.full_like(sd, ndtri((1 + PROB) / 2))  # h / sd
    for _ in range(30):
        missing = ndtr(u - sd) - ndtr(-u - sd) - PROB
        slope = _phi(u - sd) + _phi(u + sd)
        u = u - missing / slope
    return u * sd


def _phi(z: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


SDS = np.linspace(0.0, WIDEST, 601)
WIDTHS = 2 * np.exp(-1.5 * SDS**2) * np.sinh(_half_width(SDS))  # of the HDI / mean


def log_normal(mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and 94% HDI of exp of a normal."""
    centre, half = mean - sd**2, _half_width(sd)
    return np.exp(mean + 0.5 * sd**2), np.exp(centre - half), np.exp(centre + half)


def log_moments(
    mean: np.ndarray, lo: np.ndarray, hi: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and sd of log of log-normals with this mean and 94% HDI width; if that is rough.

    NaN where the mean is not above 0. Rough: the ends of the log-normal's HDI are a tenth
    of its width away from those given, or the lower one is over twice as high.
    """
    there = np.isfinite(mean) & (mean > 0) & np.isfinite(hi - lo)
    safe = np.where(there, mean, 1.0)
    width = np.where(there, hi - lo, 1.0)
    sd = np.maximum(np.interp(width / safe, WIDTHS, SDS), 1e-6)
    log = np.log(safe) - 0.5 * sd**2
    _, low, high = log_normal(log, sd)
    away = np.maximum(np.abs(low - lo), np.abs(high - hi)) > 0.1 * width
    rough = ~there | away | (2 * lo < low)
    return np.where(there, log, np.nan), np.where(there, sd, np.nan), rough
