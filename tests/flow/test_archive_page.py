"""The archive's page in a real headless Chromium, opened from disk: sorted as numbers, missing last, no gaps."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.anatomy import Laterality
from serving.archive.page import write_page
from serving.archive.parts import Parts
from serving.archive.plan import Study
from serving.archive.study import StudyRead
from serving.archive.tables import READINGS
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
QUALITIES = {"a": (0.9, 0.7), "b": (1.0, 0.0), "c": (0.95,), "d": (None,)}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The address of a page of four hips, written as `hipsono grade` writes it."""
    out = tmp_path_factory.mktemp("out")
    parts = Parts(out / "parts", "digest")
    rows = {
        name: hip_row(name, "20260105", study=name, capsule_spread_mm=0.4, pdus_calibrated=1, pdus_literal=2, **changes)
        for name, changes in HIPS.items()
    }
    for name, row in rows.items():
        parts.write(Study(name, ()), StudyRead(READINGS.empty_table(), (row,), (), (), ()))
    readings = [
        {"study": name, "laterality": str(Laterality.LEFT), "quality": quality}
        for name, several in QUALITIES.items()
        for quality in several
    ]
    pq.write_table(pa.Table.from_pylist(readings, READINGS), out / "readings.parquet")
    write_page(out, parts, [parts.name(Study(name, ())) for name in HIPS], [], SETTINGS)
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
