"""Group by visit in one model, each patient a cluster: GEE with robust errors, which asks no distribution of patients.

Grades: cumulative logits (proportional odds) with working independence. Measures: identity link, exchangeable.
Of the working structures for ordinal data (Lumley 1996) statsmodels' global odds ratio gives NaN on cohorts of this
size; independence with robust errors is consistent where values are missing completely at random.
"""

import warnings
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from statsmodels.genmod.cov_struct import Exchangeable, Independence
from statsmodels.genmod.generalized_estimating_equations import GEE, OrdinalGEE

from serving.cohort.effects import FEWEST
from serving.cohort.outcomes import Grid

ORDINAL: Final = "GEE, cumulative logits"
GAUSSIAN: Final = "GEE, identity"
_STEPS: Final = 200
_RUNAWAY: Final = 12.0
"""A log odds ratio beyond this (odds of 160,000) is a cell without variation, not an estimate."""


@dataclass(frozen=True, slots=True)
class Term:
    """A coefficient with its interval: log odds ratio of a higher grade, or difference in the outcome's unit."""

    name: str
    estimate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Model:
    """An outcome's model, or `reason` why there is none. `interaction_p`: do groups change differently (Wald)?

    Terms compare with the first group and the first visit.
    """

    outcome: str
    kind: str
    n: int
    terms: tuple[Term, ...] = ()
    interaction_statistic: float | None = None
    interaction_p: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """A row a value: what was measured (n,), the patient (n,), the columns (n, terms) and their names."""

    endog: NDArray[np.float64]
    patient: NDArray[np.int64]
    exog: NDArray[np.float64]
    names: tuple[str, ...]


def fit(grid: Grid) -> Model:
    """The model of an outcome. What cannot be fitted is told, never raised."""
    kind = ORDINAL if grid.outcome.is_grade else GAUSSIAN
    reason = _impossible(grid)
    rows = _rows(grid, constant=not grid.outcome.is_grade)
    empty = Model(grid.outcome.key, kind, len(rows.endog), reason=reason)
    if reason is not None:
        return empty
    interactions = [k for k, name in enumerate(rows.names) if " x " in name]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = _fitted(rows, grid.outcome.is_grade)
            wald = result.wald_test(
                np.eye(len(result.params))[[k - len(rows.names) for k in interactions]], scalar=True
            )
    except (ValueError, np.linalg.LinAlgError, ZeroDivisionError, FloatingPointError) as error:
        return Model(grid.outcome.key, kind, len(rows.endog), reason=f"the model could not be fitted: {error}")
    terms = _terms(result, rows.names)
    problem = _problem(result, terms, grid.outcome.is_grade)
    if problem is None and not np.isfinite([wald.statistic, wald.pvalue]).all():
        problem = "the model did not converge: nothing varies within groups"
    if problem is not None:
        return Model(grid.outcome.key, kind, len(rows.endog), reason=problem)
    return Model(grid.outcome.key, kind, len(rows.endog), terms, float(wald.statistic), float(wald.pvalue))


def _impossible(grid: Grid) -> str | None:
    if len(grid.groups) < 2 or len(grid.weeks) < 2:
        return f"no model: group by visit takes two of each, there are {len(grid.groups)} and {len(grid.weeks)}"
    for group, week in product(range(len(grid.groups)), range(len(grid.weeks))):
        there = len(grid.at(group, week))
        if there < FEWEST:
            return f"no model: {grid.groups[group]} has {there} patients at week {grid.weeks[week]:g}"
    alike = len(np.unique(grid.values[np.isfinite(grid.values)])) < 2
    return "no model: all values are alike" if alike else None


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
    for (i, name), (j, told) in product(enumerate(grid.groups[1:], 1), enumerate(grid.weeks[1:], 1)):
        columns.append(((group == i) & (week == j)).astype(float))
        names.append(f"{name} x week {told:g}")
    exog = np.stack(columns, axis=1) if columns else np.zeros((len(patient), 0))
    return _Rows(grid.values[patient, week], patient, exog, tuple(names))


def _fitted(rows: _Rows, is_grade: bool) -> Any:
    if is_grade:
        model = OrdinalGEE(rows.endog, rows.exog, groups=rows.patient, cov_struct=Independence())
    else:
        model = GEE(rows.endog, rows.exog, groups=rows.patient, cov_struct=Exchangeable())
    return model.fit(maxiter=_STEPS)


def _terms(result: Any, names: tuple[str, ...]) -> tuple[Term, ...]:
    """The named coefficients, which are the last: thresholds between grades come before them."""
    estimates, ps, limits = np.asarray(result.params), np.asarray(result.pvalues), np.asarray(result.conf_int())
    rows = np.column_stack([estimates, limits, ps])[-len(names) :]
    return tuple(Term(name, *(float(x) for x in row)) for name, row in zip(names, rows, strict=True))


def _problem(result: Any, terms: tuple[Term, ...], is_grade: bool) -> str | None:
    if not result.converged:
        return "the model did not converge"
    if not all(np.isfinite([term.estimate, term.low, term.high, term.p]).all() for term in terms):
        return "the model did not converge: its errors cannot be computed"
    runaway = [term.name for term in terms if is_grade and abs(term.estimate) > _RUNAWAY]
    return f"the model did not converge: no variation to estimate {', '.join(runaway)} from" if runaway else None
