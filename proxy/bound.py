"""The upper confidence bound of a rate: what a run of comparisons without a difference is worth."""

from __future__ import annotations

from math import expm1, log

CONFIDENCE = 0.95
MOST_COMPARISONS = 10**12
"""Where `comparisons_needed` stops searching; no owner will wait for more."""


def upper_bound(diffs: int, comparisons: int) -> float:
    """The exact one-sided 95 % upper bound of the rate behind `diffs` out of `comparisons`, from 0 to 1.

    Clopper and Pearson (1934), "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26(4): the bound is the p at which seeing at most `diffs` still has probability
    0.05, which is the 0.95 quantile of Beta(diffs + 1, comparisons - diffs). Without a difference that
    quantile is 1 - 0.05**(1/comparisons) in closed form; when all differ, or nothing was compared, it is 1.

    Raises ValueError for a negative count or for more differences than comparisons.
    """
    if diffs < 0 or comparisons < 0 or diffs > comparisons:
        raise ValueError(f"{diffs} diffs out of {comparisons} comparisons cannot be")
    if diffs == comparisons:
        return 1.0
    if diffs == 0:
        return -expm1(log(1 - CONFIDENCE) / comparisons)
    # Imported here because it takes a quarter of a second, which only a domain with diffs has to pay.
    from scipy.special import betaincinv

    return float(betaincinv(diffs + 1, comparisons - diffs, CONFIDENCE))


def comparisons_needed(diffs: int, limit: float) -> int | None:
    """The least number of comparisons, `diffs` of them differing, whose bound is at or under `limit`.

    None when no number up to `MOST_COMPARISONS` will do.
    """
    if upper_bound(diffs, max(MOST_COMPARISONS, diffs)) > limit:
        return None
    low, high = diffs, max(MOST_COMPARISONS, diffs)
    while low < high:
        middle = (low + high) // 2
        if upper_bound(diffs, middle) <= limit:
            high = middle
        else:
            low = middle + 1
    return low
