"""The archive's page in a real headless Chromium, opened from disk: sorted as numbers, missing last, no gaps."""

import pytest

from serving.archive.page import write_page
from tests.flow.conftest import CHROMIUM
from tests.serving.cohort.conftest import hip_row

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: install it, or name it in HIPSONO_CHROMIUM")

SETTINGS = {
    "deidentified": None, "trained_on": "phantoms", "model": {"name": "starter", "version": "6", "sha256": "a" * 64},
}  # fmt: skip
HIPS = {
    "a": {"capsule_percentile": 99.7, "side_difference_mm": -0.1, "capsule_distance_mm": 10.2, "age_years": 11.0},
    "b": {"capsule_percentile": 0.4, "side_difference_mm": -1.2, "capsule_distance_mm": 4.0, "age_years": 9.0},
    "c": {"capsule_percentile": 50.0, "side_difference_mm": 0.5, "capsule_distance_mm": 6.0, "age_years": 2.5},
    "d": {"capsule_percentile": 2.0, "capsule_distance_mm": 5.0, "age_years": 12.0},
}
QUALITIES = {"a": 0.8, "b": 0.5, "c": 0.95, "d": None}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The address of a page of four hips, written as `hipsono grade` writes it."""
    out = tmp_path_factory.mktemp("out")
    flow = {"pdus_calibrated": 1, "pdus_literal": 2}
    rows = [
        hip_row(name, "20260105", study=name, capsule_spread_mm=0.4, quality=QUALITIES[name], **flow, **changes)
        for name, changes in HIPS.items()
    ]
    write_page(out, ((row, None) for row in rows), [], SETTINGS)
    return (out / "index.html").as_uri()


def order(page, head):
    page.click(f"#hips th button:text-is('{head}')")
    return "".join(page.locator("#hips tbody tr td:first-child").all_inner_texts())


@pytest.mark.parametrize(
    ("head", "up", "down"),
    [
        ("percentile", "bdca", "acdb"),
        ("side difference, mm", "bacd", "cabd"),
        ("distance, mm", "bdca", "acdb"),
        ("age", "cbad", "dabc"),
        ("quality", "bacd", "cabd"),
        ("patient", "abcd", "dcba"),
    ],
)
def test_columns_sort_as_numbers_and_what_is_missing_stays_last(page, told, head, up, down):
    page.goto(told)
    assert order(page, head) == up
    assert order(page, head) == down
    assert page.get_attribute(f"#hips th:has(button:text-is('{head}'))", "aria-sort") == "descending"


def test_a_hip_is_told_with_its_flow_spread_and_quality(page, told):
    page.goto(told)
    heads = page.locator("#hips th").all_inner_texts()
    cells = dict(zip(heads, page.locator("#hips tbody tr").first.locator("td").all_inner_texts(), strict=True))
    assert (cells["PDUS"], cells["SD, mm"], cells["quality"]) == ("1 (2)", "0.4", "0.80")
    assert (cells["percentile"], cells["side difference, mm"]) == ("> 99", "-0.1")


def test_why_a_hip_has_no_grade_is_seen_without_scrolling_aside(page, told):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(told)
    box = page.locator("#hips th:has(button:text-is('evidence, or why not'))").bounding_box()
    assert box["x"] + box["width"] < 1280
