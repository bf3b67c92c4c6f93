"""What a person sees and hears of a reading that the test makes up: labels, ruler, doubt, switches, colours."""

import base64
import json

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from tests import known_hips
from tests.flow.conftest import CHROMIUM

SIZE = (960, 720)
BLACK = cv2.imencode(".png", np.zeros(SIZE[::-1], np.uint8))[1].tobytes()
AS_READ = {"picture": f"data:image/png;base64,{base64.b64encode(BLACK).decode()}"}
RECORD = """() => { window.written = [];
  const fill = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    const size = parseFloat(this.font.match(/([\\d.]+)px/)[1]);
    window.written.push({ text, x, y, box: [x, y - size, x + this.measureText(text).width, y] });
    return fill.call(this, text, x, y);
  }; }"""

SPOKEN = """() => { window.spoken = []; const said = document.getElementById('said');
  new MutationObserver(() => window.spoken.push({ text: said.textContent, at: performance.now() }))
    .observe(said, { childList: true }); }"""

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: install it, or name it in HIPSONO_CHROMIUM")


def structure(name, x0, y0, x1, y1):
    outline = [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]
    return {
        "name": name, "confidence": 0.9, "area_px": 1.0, "area_mm2": None, "bbox": [x0, y0, x1, y1],
        "contours": outline,
    }  # fmt: skip


def point(name, x, y):
    return {"name": name, "x": x, "y": y, "confidence": 0.8, "spread_px": 2.0}


@pytest.fixture
def told(reading):
    """Two vessels, a recess and its insertion, seen in a frame of 0.1 mm pixels."""
    frame = reading["frame"] | {
        "width": SIZE[0], "height": SIZE[1], "spacing_mm": [0.1, 0.1], "spacing_source": "request",
        "sector": [100, 50, 900, 700],
    }  # fmt: skip
    gsus = reading["solar"]["gsus"] | {"grade": 2, "probabilities": [0.01, 0.12, 0.8, 0.07], "reason": None}
    return reading | {
        "frame": frame,
        "structures": [
            structure("femoral_artery", 300, 200, 420, 300),
            structure("femoral_vein", 450, 200, 600, 300),
            structure("anterior_recess", 300, 400, 700, 480),
        ],
        "landmarks": [
            point("femoral_artery", 360, 250), point("femoral_vein", 525, 250), point("capsule_insertion", 500, 440),
        ],
        "measurements": [], "targets": [],
        "solar": reading["solar"] | {"gsus": gsus, "combined": {"grade": 2, "reason": None}},
    }  # fmt: skip


@pytest.fixture
def tell(page, server, tmp_path):
    """Shows a black picture under the reading that it is given."""
    path = tmp_path / "black.png"
    path.write_bytes(BLACK)
    page.add_init_script(f"({RECORD})()")
    page.goto(server)

    def shown(reading):
        page.unroute_all()
        page.route("**/v1/frames*", lambda route: route.fulfill(json=reading | AS_READ))
        before = page.get_attribute("#picture", "aria-label")
        page.set_input_files("#file", str(path))
        page.wait_for_function(
            "b => !['No picture yet', b].includes(document.getElementById('picture').getAttribute('aria-label'))",
            arg=before,
        )
        return page

    return shown


@pytest.mark.parametrize("width", [420, 1400])
def test_letters_can_be_read_however_small_the_picture_is_shown(page, tell, told, width):
    page.set_viewport_size({"width": width, "height": 900})
    placed = labels(tell(told))
    box = placed["Femoral artery"]["box"]
    shown = page.locator("#picture").bounding_box()["width"] / SIZE[0]
    assert (box[3] - box[1]) * shown > 8.9


def test_the_whole_picture_is_seen_on_a_low_screen(page, tell, told):
    page.set_viewport_size({"width": 1400, "height": 600})
    tell(told)
    box = page.locator("#picture").bounding_box()
    assert box["height"] < 600
    assert box["width"] / box["height"] == pytest.approx(SIZE[0] / SIZE[1], rel=0.01)


def test_reasons_are_told_in_words(tell, told):
    """The server's sentences name things as its JSON does."""
    told["solar"]["gsus"] |= {"grade": None, "reason": "no anterior_recess in anterior_longitudinal"}
    page = tell(told | {"warnings": ["femoral_vein is cut by the sector"]})
    expect(page.locator("#evidence")).to_have_text("no anterior recess in anterior longitudinal")
    expect(page.locator("#talk")).to_contain_text("femoral vein is cut by the sector")


def overlap(a, b):
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def labels(page):
    """The words of the last drawing, by their text."""
    page.evaluate("window.written.length = 0")
    page.click("#overlay")
    page.click("#overlay")
    return {one["text"]: one for one in page.evaluate("window.written")}


def test_labels_lie_off_the_anatomy_outlined_or_not_and_off_one_another(tell, told):
    page = tell(told)
    for switched_off in (False, True):
        if switched_off:
            page.uncheck("#structures label:has-text('Anterior recess') >> input")
        placed = labels(page)
        boxes = [placed[name]["box"] for name in ("Femoral artery", "Femoral vein", "Capsule insertion")]
        for k, box in enumerate(boxes):
            assert [overlap(box, s["bbox"]) for s in told["structures"]] == [0, 0, 0]
            assert [overlap(box, other) for other in boxes[k + 1 :]] == [0] * (2 - k)


def test_the_ruler_has_the_frames_scale_and_no_label_over_it(tell, told):
    told["landmarks"].append(point("acetabular_rim", 150, 352))
    told["structures"].append(structure("femoral_head", 158, 310, 280, 390))
    page = tell(told)
    placed = labels(page)
    tens = [placed[f"{mm}"]["y"] for mm in (10, 20, 30, 40, 50, 60)]
    assert np.diff(tens) == pytest.approx([100] * 5)
    assert [overlap(placed["Acetabular rim"]["box"], placed[f"{mm}"]["box"]) for mm in (20, 30, 40)] == [0, 0, 0]


def test_without_a_scale_there_is_no_ruler(tell, told):
    told["frame"] |= {"spacing_mm": None, "spacing_source": None}
    assert "10" not in labels(tell(told))


def test_a_grades_doubt_is_told_in_numbers_to_eye_and_ear(tell, told):
    page = tell(told)
    shares = "grade 0 1 %, grade 1 12 %, grade 2 80 %, grade 3 7 %"
    assert page.get_attribute("#bars", "aria-label") == shares
    assert shares in page.get_attribute("#picture", "aria-label")
    drawn = page.evaluate(
        "[...document.querySelectorAll('#bars span')].map(e => getComputedStyle(e, '::before').content)"
    )
    assert drawn == ['"1 %"', '"12 %"', '"80 %"', '"7 %"']
    expect(page.locator("#combined")).to_have_text("Combined: grade 2")


def test_the_last_reading_is_spoken_though_it_came_soon_after_another(page, tell, told):
    page.evaluate(SPOKEN)
    tell(told)
    page.wait_for_function("window.spoken.length === 1")
    told["solar"]["gsus"] |= {"grade": 3, "probabilities": [0.01, 0.02, 0.07, 0.9]}
    tell(told)
    page.wait_for_function("window.spoken.length === 2")
    first, last = page.evaluate("window.spoken")
    assert "grade 2;" in first["text"] and "grade 3;" in last["text"]
    assert last["at"] - first["at"] > 2900, "not more often than it can be spoken"


def test_a_switch_keeps_its_place_and_focus_in_a_frame_without_its_structure(page, server, reading, told, tmp_path):
    without = told | {"structures": [], "landmarks": []}
    lines = [json.dumps(one | AS_READ | {"seq": k}) for k, one in enumerate((told, without))]
    page.route("**/v1/cines*", lambda route: route.fulfill(body="\n".join(lines), content_type="application/x-ndjson"))
    path = tmp_path / "cine.dcm"
    path.write_bytes(b"answered by the test")
    page.goto(server)
    page.set_input_files("#file", str(path))
    expect(page.locator("#position")).to_have_text("1 / 2")
    line = page.locator("#structures label:has-text('Femoral vein')")
    line.locator("input").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#position")).to_have_text("2 / 2")
    expect(line).to_contain_text("not seen")
    expect(line.locator("input")).to_be_focused()


def test_a_point_that_is_no_structure_can_be_switched_off(tell, told):
    page = tell(told)
    assert "Capsule insertion" in labels(page)
    page.uncheck("#structures label:has-text('Capsule insertion') >> input")
    assert "Capsule insertion" not in labels(page)


def test_a_saved_picture_says_what_it_is_not_for(tell, told):
    page = tell(told)
    page.uncheck("#structures label:has-text('Femoral vein') >> input")
    with page.expect_download() as download:
        page.keyboard.press("s")
    foot = cv2.imread(str(download.value.path()))[-40:]
    assert np.count_nonzero(foot.min(axis=2) > 200) > 200
    shown = page.evaluate(
        """() => Math.max(...document.getElementById('picture').getContext('2d').getImageData(0, 680, 960, 40).data
        .filter((_, k) => k % 4 < 3))"""
    )
    assert shown < 200


@pytest.mark.parametrize(
    ("theme", "scheme", "dark"),
    [("auto", "dark", True), ("auto", "light", False), ("dark", "light", True), ("light", "dark", False)],
)
def test_every_theme_has_its_colours_and_they_can_be_read(page, server, theme, scheme, dark):
    page.emulate_media(color_scheme=scheme)
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page.goto(server)
    colours = page.evaluate(
        """() => { const probe = document.body.appendChild(document.createElement('i'));
        const names = ['ground', 'card', 'ink', 'soft', 'accent', 'danger', 'caution', 'clear'];
        return Object.fromEntries(names.map((name) => {
          probe.style.color = `var(--${name})`;
          return [name, getComputedStyle(probe).color.match(/\\d+/g).map(Number)]; })); }"""
    )
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)") == colours["ground"]
    )
    assert (luminance(colours["ground"]) < 0.05) is dark
    for name, least in (("ink", 7), ("soft", 4.5), ("accent", 4.5), ("danger", 4.5), ("caution", 4.5), ("clear", 4.5)):
        assert contrast(colours[name], colours["card"]) >= least, name
        assert contrast(colours[name], colours["ground"]) >= least, name


def luminance(rgb):
    """Relative luminance after WCAG 2."""
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_click_on_the_strip_shows_that_frame(page, server, tmp_path):
    path = tmp_path / "cine.dcm"
    write_dicom(list(cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 4)), path)
    page.goto(server)
    page.set_input_files("#file", str(path))
    expect(page.locator("#position")).to_have_text("1 / 4")
    box = page.locator("#strip").bounding_box()
    for k in (2, 0, 3):
        page.locator("#strip").click(position={"x": (k + 0.5) / 4 * box["width"], "y": box["height"] / 2})
        expect(page.locator("#position")).to_have_text(f"{k + 1} / 4")
