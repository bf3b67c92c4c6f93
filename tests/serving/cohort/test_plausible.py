"""Can whole numbers have a printed mean and SD? Real data always can; the published SOLAR figure cannot."""

import csv
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import combinations_with_replacement
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.cohort.plausible import Printed, check, parse_scale, window
from serving.cohort.published import read_published
from serving.cohort.summaries import Summary


def moments(values):
    n = len(values)
    mean = Fraction(sum(values), n)
    return mean, sum((value - mean) ** 2 for value in values)


def rounded(value, digits, how=ROUND_HALF_UP):
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), how))


def test_the_published_0_15_and_0_06_is_no_sd_but_a_standard_error():
    found = check(Printed(40, "0.15", "0.06"))
    assert not found.can_be_sd and found.as_sem.counts == (34, 6, 0, 0)
    assert found.sd_range[0] == pytest.approx(0.3616, abs=1e-4)
    assert "cannot be a standard deviation" in found.words
    assert "fits a standard error, e.g. 34/6/0/0 (SD 0.362, SEM 0.057)" in found.words


def test_the_other_published_figures_are_possible():
    assert check(Printed(40, "1.38", "0.59")).can_be_sd
    assert check(Printed(40, "0.80", "0.41")).as_sd.counts == (8, 32, 0, 0)
    assert check(Printed(40, "59.60", "9.89", (0, 100))).can_be_sd


def test_a_mean_that_no_sum_gives_is_impossible():
    found = check(Printed(40, "0.16", "0.37"))
    assert found.sd_range is None and not found.mean_possible and "no 40 such numbers have this mean" in found.words


def test_a_printed_number_stands_for_all_that_round_to_it():
    assert window("0.06", "spread") == (Fraction(55, 1000), Fraction(65, 1000))
    assert window("0.060", "spread") == (Fraction(595, 10000), Fraction(605, 10000))
    assert window("2", "mean") == (Fraction(3, 2), Fraction(5, 2))
    assert check(Printed(40, "0.15", "0.36")).can_be_sd and not check(Printed(40, "0.15", "0.360")).can_be_sd


@settings(max_examples=150)
@given(
    st.sampled_from([(0, 3), (0, 10), (1, 5)]).flatmap(
        lambda scale: st.tuples(st.just(scale), st.lists(st.integers(*scale), min_size=2, max_size=60))
    ),
    st.integers(1, 3),
    st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN]),
)
def test_real_numbers_are_always_called_possible(drawn, digits, how):
    scale, values = drawn
    mean, squares = moments(values)
    n = len(values)
    printed_mean = rounded(Decimal(mean.numerator) / mean.denominator, digits, how)
    spreads = (sqrt(squares / (n - 1)), sqrt(squares / n), sqrt(squares / (n * (n - 1))))
    sd, population, sem = (rounded(spread, digits, how) for spread in spreads)
    assert check(Printed(n, printed_mean, sd, scale)).as_sd is not None
    assert check(Printed(n, printed_mean, population, scale)).as_population_sd is not None
    assert check(Printed(n, printed_mean, sem, scale)).as_sem is not None


@pytest.mark.parametrize(("n", "scale"), [(2, (0, 3)), (5, (0, 3)), (6, (0, 4)), (7, (1, 4))])
def test_as_many_are_possible_as_trying_all_numbers_finds(n, scale):
    real = set()
    for values in combinations_with_replacement(range(scale[0], scale[1] + 1), n):
        mean, squares = moments(values)
        real.add((rounded(float(mean), 3), rounded(sqrt(squares / (n - 1)), 3)))
    means = {mean for mean, _ in real}
    spreads = {spread for _, spread in real}
    for mean in means:
        for spread in spreads:
            found = check(Printed(n, mean, spread, scale))
            assert (found.as_sd is not None) == ((mean, spread) in real), (mean, spread)


@settings(max_examples=60)
@given(st.integers(2, 60), st.integers(0, 300), st.integers(0, 200))
def test_an_example_has_the_printed_figures(n, mean_hundredths, spread_hundredths):
    mean, spread = f"{mean_hundredths / 100:.2f}", f"{spread_hundredths / 100:.2f}"
    fit = check(Printed(n, mean, spread)).as_sd
    if fit is not None:
        values = [value for value, count in enumerate(fit.counts) for _ in range(count)]
        assert len(values) == n and abs(sum(values) / n - float(mean)) <= 0.005 + 1e-12
        assert abs(sqrt(float(moments(values)[1]) / (n - 1)) - float(spread)) <= 0.005 + 1e-12


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((1, "0.1", "0.1"), "n must be 2"),
        ((40, "a", "0.1"), "mean must be a number as printed"),
        ((40, "0.1", "nan"), "spread must be a number as printed"),
        ((40, "0.1", "-0.1"), "spread must not be below 0"),
        ((40, "0.1", "0.1", (3, 0)), "a scale goes from least to largest"),
    ],
)
def test_what_is_no_summary_is_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        Printed(*arguments)


def test_a_scale_is_read():
    assert parse_scale("0-3") == parse_scale("0,3") == (0, 3)
    with pytest.raises(ValueError, match="LEAST-LARGEST"):
        parse_scale("three")


def published(tmp_path, *lines):
    path = tmp_path / "published.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(line.split(",") for line in lines)
    return path


def test_published_rows_are_checked_as_what_they_say_beside_our_own(tmp_path):
    ours = Summary("solar", "denervation", 16, 38, 2, (32, 6, 0, 0), 0.158, 0.37, 0.06, 0, 0, 0)
    path = published(
        tmp_path,
        "group,visit,outcome,n,mean,spread,kind,scale",
        "denervation,16,solar,40,0.15,0.06,sd,",
        "denervation,16,solar,40,0.15,0.06,sem,",
        "denervation,16,tenderness,40,0.80,0.41,,",
        "denervation,0,hhs,40,59.60,9.89,sd,0-100",
        "saline,0,solar,40,0.16,0.06,,",
    )
    told = read_published(path, (ours,))
    assert [one.verdict for one in told] == ["not as said", "possible", "possible", "possible", "impossible"]
    assert told[0].ours is ours and told[4].ours is None


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("group,visit,outcome,n,mean",), "column spread is missing"),
        (("group,visit,outcome,n,mean,spread", "g,0,solar,forty,1,1"), "row 2: visit '0' and n 'forty'"),
        (("group,visit,outcome,n,mean,spread", "g,0,hhs,40,59.6,9.9"), "row 2: what whole numbers has 'hhs'"),
        (("group,visit,outcome,n,mean,spread,kind", "g,0,solar,40,1,1,se"), "row 2, column kind: 'se'"),
        (("group,visit,outcome,n,mean,spread", "g,0,solar,40,1,x"), "row 2: spread must be a number"),
    ],
)
def test_what_is_wrong_with_published_rows_is_named(tmp_path, lines, told):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        read_published(published(tmp_path, *lines), ())
    assert told in str(error.value)
