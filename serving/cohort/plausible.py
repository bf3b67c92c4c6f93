"""Can n whole numbers of a scale have this mean and this SD? Decided exactly, by searching for such numbers.

GRIM (Brown & Heathers 2017) asks it of the mean, GRIMMER (Anaya 2016) of the SD; here both are answered at once by
finding counts or showing that there are none. Nothing is rounded on the way: numbers stay fractions of whole numbers.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor, sqrt
from typing import Final

MOST: Final = 2_000
WIDEST: Final = 100
_SHORT: Final = 3


class Spread(StrEnum):
    """What a printed number after the mean may be."""

    SD = "standard deviation (n - 1)"
    POPULATION_SD = "standard deviation (n)"
    SEM = "standard error"


@dataclass(frozen=True, slots=True)
class Printed:
    """A summary as printed: texts, because "0.06" says that two decimals are known. `scale` is (least, largest)."""

    n: int
    mean: str
    spread: str
    scale: tuple[int, int] = (0, 3)

    def __post_init__(self) -> None:
        if not 2 <= self.n <= MOST:
            raise ValueError(f"n must be 2 to {MOST}, got {self.n}")
        low, high = self.scale
        if not 1 <= high - low <= WIDEST:
            raise ValueError(f"a scale goes from least to largest, at most {WIDEST} apart, got {low} to {high}")
        for name, text in (("mean", self.mean), ("spread", self.spread)):
            window(text, name)
        if Decimal(self.spread) < 0:
            raise ValueError(f"spread must not be below 0, got {self.spread}")


@dataclass(frozen=True, slots=True)
class Fit:
    """An example: how many have each value of the scale, from the least; with its own SD and SEM."""

    counts: tuple[int, ...]
    sd: float
    sem: float


@dataclass(frozen=True, slots=True)
class Plausibility:
    """What the printed spread can be, with an example each, None where it cannot; the SDs its mean allows."""

    printed: Printed
    mean_possible: bool
    sd_range: tuple[float, float] | None
    as_sd: Fit | None
    as_population_sd: Fit | None
    as_sem: Fit | None

    @property
    def can_be_sd(self) -> bool:
        return self.as_sd is not None or self.as_population_sd is not None

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        printed, scale = self.printed, self.printed.scale
        words = (
            f"n = {printed.n}, mean {printed.mean}, spread {printed.spread}, whole numbers {scale[0]} to {scale[1]}:"
        )
        if self.sd_range is None:
            return f"{words} impossible, no {printed.n} such numbers have this mean"
        if self.as_sd is not None:
            also = f"; as a standard error {told(self.as_sem, scale)} fits too" if self.as_sem else ""
            return f"{words} possible as a standard deviation, e.g. {told(self.as_sd, scale)}{also}"
        if self.as_population_sd is not None:
            return f"{words} possible as a standard deviation over n, e.g. {told(self.as_population_sd, scale)}"
        least, most = self.sd_range
        cannot = f"cannot be a standard deviation (such numbers with this mean have {least:.3f} to {most:.3f}"
        between = "), " if not least <= float(printed.spread) <= most else ", but not this one), "
        if self.as_sem is not None:
            return f"{words} {cannot}{between}fits a standard error, e.g. {told(self.as_sem, scale)}"
        return f"{words} {cannot}{between}fits no standard error either"


def check(printed: Printed) -> Plausibility:
    """Searches every sum the mean allows for counts with the printed spread, taken as each kind."""
    sums = list(_sums(printed))
    fits = {kind: _search(printed, sums, kind) for kind in Spread} if sums else dict.fromkeys(Spread)
    sd_range = _sd_range(printed, sums) if sums else None
    return Plausibility(printed, bool(sums), sd_range, fits[Spread.SD], fits[Spread.POPULATION_SD], fits[Spread.SEM])


def window(text: str, name: str) -> tuple[Fraction, Fraction]:
    """All numbers that round to a printed one, ends included: nobody knows which way a half went.

    Raises ValueError for a text that is no number.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{name} must be a number as printed, such as 0.15, got {text!r}") from None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{name} must be a number as printed, such as 0.15, got {text!r}")
    half = Fraction(10) ** min(exponent, 0) / 2
    return Fraction(value) - half, Fraction(value) + half


def parse_scale(text: str) -> tuple[int, int]:
    """ "0-3" or "0,3" as (0, 3). Raises ValueError."""
    low, _, high = text.replace(",", "-").partition("-")
    try:
        return int(low), int(high)
    except ValueError:
        raise ValueError(f"a scale is LEAST-LARGEST, such as 0-3, got {text!r}") from None


def _sums(printed: Printed) -> range:
    """Sums of n numbers, counted from the scale's least as 0, whose mean rounds to the printed one."""
    low, high = window(printed.mean, "mean")
    least, largest = printed.scale
    first = max(0, ceil((low - least) * printed.n))
    return range(first, min((largest - least) * printed.n, floor((high - least) * printed.n)) + 1)


def _search(printed: Printed, sums: list[int], kind: Spread) -> Fit | None:
    """The first counts found, the means nearest to the printed one first."""
    low, high = window(printed.spread, "spread")
    n, width = printed.n, printed.scale[1] - printed.scale[0]
    times = {Spread.SD: n - 1, Spread.POPULATION_SD: n, Spread.SEM: n * (n - 1)}[kind]
    middle = (sums[0] + sums[-1]) / 2
    dead: set[tuple[int, int, int, int]] = set()
    for total in sorted(sums, key=lambda one: abs(one - middle)):
        offset = Fraction(total * total, n)
        first = max(ceil(max(low, Fraction(0)) ** 2 * times + offset), _least_squares(n, total))
        last = min(floor(high**2 * times + offset), _most_squares(width, total))
        for squares in range(first + (first - total) % 2, last + 1, 2):
            counts = _counts(width, n, total, squares, dead)
            if counts is not None:
                return _fit(counts, n, total, squares)
    return None


def _fit(counts: tuple[int, ...], n: int, total: int, squares: int) -> Fit:
    sd = sqrt((squares - total * total / n) / (n - 1))
    return Fit(counts, sd, sd / sqrt(n))


def _counts(top: int, n: int, total: int, squares: int, dead: set[tuple[int, int, int, int]]) -> tuple[int, ...] | None:
    """How many of n numbers 0 to `top` have each value, so that they have that sum and sum of squares; None if none.

    Goes down from the largest value; `dead` remembers what led nowhere.
    """
    if not _within_reach(top, n, total, squares):
        return None
    if top <= 2:
        return _of_three(top, n, total, squares)
    state = (top, n, total, squares)
    if state in dead:
        return None
    counts = range(max(0, total - n * (top - 1)), min(n, total // top, squares // (top * top)) + 1)
    uneven = 2 * squares > _least_squares(n, total) + _most_squares(top, total) if n else False
    for count in reversed(counts) if uneven else counts:
        below = _counts(top - 1, n - count, total - count * top, squares - count * top * top, dead)
        if below is not None:
            return (*below, count)
    dead.add(state)
    return None


def _of_three(top: int, n: int, total: int, squares: int) -> tuple[int, ...] | None:
    """The counts of 0 to `top`, at most 2: sum and squares leave no choice."""
    twos = (squares - total) // 2
    counts = (n - total + twos, total - 2 * twos, twos)
    return counts[: top + 1] if min(counts) >= 0 and not any(counts[top + 1 :]) else None


def _within_reach(top: int, n: int, total: int, squares: int) -> bool:
    """Whether the sum can be had, and the squares lie between the most even and the most uneven way to have it."""
    if not 0 <= total <= n * top:
        return False
    if n == 0 or top == 0:
        return squares == 0
    return (squares - total) % 2 == 0 and _least_squares(n, total) <= squares <= _most_squares(top, total)


def _least_squares(n: int, total: int) -> int:
    each, over = divmod(total, n)
    return (n - over) * each * each + over * (each + 1) ** 2


def _most_squares(top: int, total: int) -> int:
    full, rest = divmod(total, top)
    return full * top * top + rest * rest


def _sd_range(printed: Printed, sums: list[int]) -> tuple[float, float]:
    """The least and the largest SD (n - 1) that numbers of the scale with such a mean have."""
    n, width = printed.n, printed.scale[1] - printed.scale[0]

    def sd(squares: int, total: int) -> float:
        return sqrt(Fraction(n * squares - total * total, n * (n - 1)))

    least = min(sd(_least_squares(n, total), total) for total in sums)
    return least, max(sd(_most_squares(width, total), total) for total in sums)


def told(fit: Fit, scale: tuple[int, int]) -> str:
    """34/6/0/0 (SD 0.362, SEM 0.057); of wide scales only the values that occur."""
    low, high = scale
    if high - low <= _SHORT:
        counts = "/".join(map(str, fit.counts))
    else:
        counts = ", ".join(f"{count} of {value}" for value, count in enumerate(fit.counts, start=low) if count)
    return f"{counts} (SD {fit.sd:.3f}, SEM {fit.sem:.3f})"
