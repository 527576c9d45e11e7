"""The claims that there are, checked by name on labelled results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from steepest.errors import InvalidArgument
from steepest.experiments.claims import margins, mean_directions, rates, single_samples
from steepest.experiments.claims.claim import CLAIMS, ClaimResult
from steepest.experiments.claims.selection import Runs
from steepest.experiments.claims.verdict import decide
from steepest.experiments.inputs import as_instance, as_texts

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CLAIMS", "GROUPS", "check_claims"]

GROUPS = (margins, single_samples, mean_directions, rates)
"""The files that register the claims of steepest itself."""


def check_claims(dataset: xr.Dataset, names: Iterable[str]) -> tuple[ClaimResult, ...]:
    """Check claims by name on every data set, norm and loss that the results hold.

    Verdicts are corrected together (Holm's method) over all that is asked of the results; data on which
    claims only generalise is corrected by itself, so that it changes no verdict on the data that they are
    about.

    Args:
        dataset: results, as :func:`open_results` returns them.
        names: of claims, each one of :data:`CLAIMS`.

    Raises:
        InvalidArgument: a name that is no claim.

    ::

        for result in check_claims(open_results("results/figure1"), ["full-batch-converges"]):
            print(result.norm, result.verdict.value, result.reason)
    """
    import xarray as xr

    names = as_texts("claims", names, "give the names of claims in a list")
    as_instance("dataset", dataset, xr.Dataset, "give results, as open_results returns them")
    for name in names:
        if name not in CLAIMS:
            raise InvalidArgument("claims", name, f"known claims: {', '.join(CLAIMS)}")
    every = tuple(Runs.of(dataset))
    measured = [
        claim.measured_on(runs)
        for claim in (CLAIMS[name] for name in names)
        for runs in every
        if claim.needs.is_about(runs)
    ]
    families: dict[str, list[int]] = {}
    for place, each in enumerate(measured):
        families.setdefault(each.runs.data if each.runs.generalises else "", []).append(place)
    results: dict[int, ClaimResult] = {}
    for places in families.values():
        verdicts = decide([measured[place].judged for place in places])
        results |= {at: measured[at].result(*verdict) for at, verdict in zip(places, verdicts, strict=True)}
    return tuple(results[place] for place in range(len(measured)))
