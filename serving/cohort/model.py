"""Group by visit in one model, each patient a cluster: GEE with robust errors, which asks no distribution of patients.

Residuals of few patients are too small, and robust errors from them find differences where there are none. So errors
are corrected for it (Mancl & DeRouen 2001), terms are held against t with patients - groups degrees of freedom, and
the joint test is Hotelling's T-squared with as many, as for repeated measures (Pustejovsky & Tipton 2018).

Grades: cumulative logits (proportional odds) with working independence. Measures: identity link, exchangeable.
Of the working structures for ordinal data (Lumley 1996) statsmodels' global odds ratio gives NaN on cohorts of this
size; independence with robust errors is consistent where values are missing completely at random.
"""

import warnings
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.genmod.cov_struct import Exchangeable, Independence
from statsmodels.genmod.generalized_estimating_equations import GEE, OrdinalGEE

from serving.cohort.effects import FEWEST
from serving.cohort.outcomes import Grid

ORDINAL: Final = "GEE, cumulative logits"
GAUSSIAN: Final = "GEE, identity"
_STEPS: Final = 200
_RUNAWAY: Final = 12.0
"""A log odds ratio beyond this (odds of 160,000) is a cell without variation, not an estimate."""
_NOTHING: Final = 1e-12
"""A squared error below this is none but rounding, of a cell without variation too; and a share of the largest one."""
_UPPER: Final = 0.975


@dataclass(frozen=True, slots=True)
class Term:
    """A coefficient with its interval: log odds ratio of a higher grade, or difference in the outcome's unit."""

    name: str
    estimate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Interaction:
    """Do groups change differently? An F of `df` comparisons and `df_patients`."""

    f: float
    df: int
    df_patients: int
    p: float


@dataclass(frozen=True, slots=True)
class Model:
    """An outcome's model, or `reason` why there is none. Terms compare with the first group and the first visit."""

    outcome: str
    kind: str
    n: int
    terms: tuple[Term, ...] = ()
    interaction: Interaction | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """A row a value: what was measured (n,), the patient (n,), the columns (n, terms) and their names.

    The last `interactions` columns are group by visit; `df` is patients - groups.
    """

    endog: NDArray[np.float64]
    patient: NDArray[np.int64]
    exog: NDArray[np.float64]
    names: tuple[str, ...]
    interactions: int
    df: int


def fit(grid: Grid) -> Model:
    """The model of an outcome. What cannot be fitted is told, never raised."""
    rows = _rows(grid, constant=not grid.outcome.is_grade)
    none = Model(grid.outcome.key, ORDINAL if grid.outcome.is_grade else GAUSSIAN, len(rows.endog))
    reason = _impossible(grid) or _too_few(rows)
    if reason is not None:
        return replace(none, reason=f"no model: {reason}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimates, covariance = _fitted(rows, grid.outcome.is_grade)
            terms = _terms(rows, estimates, covariance)
            interaction = _interaction(rows, estimates, covariance)
    except (ValueError, np.linalg.LinAlgError, ZeroDivisionError, FloatingPointError) as error:
        return replace(none, reason=f"the model could not be fitted: {error}")
    return replace(none, terms=terms, interaction=interaction)


def _impossible(grid: Grid) -> str | None:
    if len(grid.groups) < 2 or len(grid.weeks) < 2:
        return f"group by visit takes two of each, there are {len(grid.groups)} and {len(grid.weeks)}"
    for group, week in product(range(len(grid.groups)), range(len(grid.weeks))):
        there = len(grid.at(group, week))
        if there < FEWEST:
            return f"{grid.groups[group]} has {there} patients at week {grid.weeks[week]:g}"
    alike = len(np.unique(grid.values[np.isfinite(grid.values)])) < 2
    return "all values are alike" if alike else None


def _too_few(rows: _Rows) -> str | None:
    """Where T-squared would be left without a degree of freedom."""
    if rows.df >= rows.interactions:
        return None
    there = len(np.unique(rows.patient))
    needed = there + rows.interactions - rows.df
    return f"{rows.interactions} comparisons at once take {needed} patients, there are {there}"


def _rows(grid: Grid, *, constant: bool) -> _Rows:
    patient, week = np.nonzero(np.isfinite(grid.values))
    group = grid.group_of[patient]
    columns = [np.ones(len(patient))] if constant else []
    names = ["(at the first of both)"] if constant else []
    for k, name in enumerate(grid.groups[1:], start=1):
        columns.append((group == k).astype(float))
        names.append(name)
    for k, told in enumerate(grid.weeks[1:], start=1):
        columns.append((week == k).astype(float))
        names.append(f"week {told:g}")
    before = len(names)
    for (i, name), (j, told) in product(enumerate(grid.groups[1:], 1), enumerate(grid.weeks[1:], 1)):
        columns.append(((group == i) & (week == j)).astype(float))
        names.append(f"{name} x week {told:g}")
    exog = np.stack(columns, axis=1) if columns else np.zeros((len(patient), 0))
    df = len(np.unique(patient)) - len(grid.groups)
    return _Rows(grid.values[patient, week], patient, exog, tuple(names), len(names) - before, df)


def _fitted(rows: _Rows, is_grade: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The named coefficients (terms,), which are the last - thresholds between grades come before them - and their
    covariance (terms, terms). Raises ValueError where there are none to go by.
    """
    result = _result(rows, is_grade)
    if result is None or result.cov_robust_bc is None:
        raise ValueError("its errors cannot be computed, the covariance is singular")
    if not result.converged:
        raise ValueError("it did not converge")
    terms = slice(-len(rows.names), None)
    estimates = np.asarray(result.params, float)[terms]
    covariance = np.asarray(result.cov_robust_bc, float)[terms, terms]
    if not (np.isfinite(estimates).all() and np.isfinite(covariance).all()):
        raise ValueError("its errors cannot be computed")
    still = np.diag(covariance) < _NOTHING
    if is_grade:
        still |= np.abs(estimates) > _RUNAWAY
    if still.any():
        raise ValueError(f"no variation to estimate {', '.join(np.array(rows.names)[still])} from")
    return estimates, covariance


def _result(rows: _Rows, is_grade: bool) -> Any:
    """What statsmodels found; None where its covariance is singular."""
    if is_grade:
        model = OrdinalGEE(rows.endog, rows.exog, groups=rows.patient, cov_struct=Independence())
    else:
        model = GEE(rows.endog, rows.exog, groups=rows.patient, cov_struct=Exchangeable())
    try:
        return model.fit(maxiter=_STEPS, cov_type="bias_reduced")
    except (AttributeError, TypeError):  # OrdinalGEE reckons with the None of what could not be computed
        return None


def _terms(rows: _Rows, estimates: NDArray[np.float64], covariance: NDArray[np.float64]) -> tuple[Term, ...]:
    errors = np.sqrt(np.diag(covariance))
    half = stats.t.ppf(_UPPER, rows.df) * errors
    ps = 2 * stats.t.sf(np.abs(estimates / errors), rows.df)
    columns = np.column_stack([estimates, estimates - half, estimates + half, ps])
    return tuple(Term(name, *(float(x) for x in row)) for name, row in zip(rows.names, columns, strict=True))


def _interaction(rows: _Rows, estimates: NDArray[np.float64], covariance: NDArray[np.float64]) -> Interaction:
    """T-squared, Wald's statistic, as an F. Raises ValueError where the covariance leaves some comparison undone."""
    q, df = rows.interactions, rows.df - rows.interactions + 1
    theirs, within = estimates[-q:], covariance[-q:, -q:]
    if np.linalg.matrix_rank(within, rtol=_NOTHING, hermitian=True) < q:
        raise ValueError(f"too little varies within groups for {q} comparisons at once")
    f = float(theirs @ np.linalg.solve(within, theirs)) * df / (rows.df * q)
    return Interaction(f, q, df, float(stats.f.sf(f, q, df)))
