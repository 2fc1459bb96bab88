"""Whether two fits are of the same posterior, in Monte Carlo errors."""

import numpy as np


def errors(draws):
    """Monte Carlo error of the mean by batch means (20 batches a chain)."""
    chains, n = draws.shape[:2]
    means = draws[:, : n - n % 20].reshape(chains, 20, -1, *draws.shape[2:]).mean(2)
    flat = means.reshape(chains * 20, *draws.shape[2:])
    return flat.std(0, ddof=1) / np.sqrt(len(flat))


def _errors(fit, of):
    """The same of a fit; resampled draws are as few as their weights were effective."""
    kept = fit.draws.n_chains * fit.draws.n_draws
    return errors(of) * np.sqrt(kept / fit.info.get("weights_ess", kept))


def scores(ours, theirs):
    """Differences of means, and of means of squares, in combined Monte Carlo errors."""
    found = {}
    for name, value in ours.draws.params.items():
        for power in (1, 2):
            shift = theirs.draws.params[name].astype(float).mean((0, 1))
            a = (value.astype(float) - shift) ** power
            b = (theirs.draws.params[name].astype(float) - shift) ** power
            z = (a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(
                _errors(ours, a), _errors(theirs, b)
            )
            found[name, power] = np.atleast_1d(z)
    return found


def agree(ours, theirs, limit=5.0):
    """Means, and means of squares, within so many combined Monte Carlo errors."""
    found = scores(ours, theirs)
    for what, z in found.items():
        assert np.all(np.abs(z) < limit), (what, z)
    assert sum(z.size for z in found.values()) >= 8
