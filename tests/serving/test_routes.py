"""The routes: answers that fit their schema, and refusals that say what to do."""

import base64
import io

import cv2
import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator
from PIL import Image

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import HIP_VIEWS, View
from serving.schema import ReadingBody
from tests import known_hips
from tests.serving.conftest import encoded

JPEG = {"content-type": "image/jpeg"}
DICOM = {"content-type": "application/dicom"}


@pytest.fixture(scope="module")
def cine_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("dicom") / "cine.dcm"
    write_dicom(list(cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 4)), path)
    return path.read_bytes()


@pytest.mark.parametrize("view", HIP_VIEWS)
def test_a_frame_gives_a_reading_of_the_schema(client, samples, view):
    spacing = samples[view].frame.regions[0].spacing_mm
    query = {"spacing_mm": f"{spacing[0]},{spacing[1]}", "age_years": 12, "laterality": "left"}
    answer = client.post("/v1/frames", content=encoded(samples[view]), headers=JPEG, params=query)
    assert answer.status_code == 200
    reading = ReadingBody.model_validate_json(answer.content)
    assert reading.view.name == view
    assert reading.landmarks, "landmarks are seen on every hip view"
    assert reading.frame.spacing_mm == pytest.approx(spacing)
    assert reading.frame.spacing_source == "request"
    assert reading.frame.laterality == "left"
    assert {"decode", "network", "total"} <= set(reading.timings_ms)


def test_the_longitudinal_view_is_graded_with_evidence(client, samples):
    sample = samples[View.LONGITUDINAL]
    body = client.post("/v1/frames", content=encoded(sample), headers=JPEG).json()
    assert abs(body["solar"]["gsus"]["grade"] - sample.truth.gsus) <= 1
    assert "capsule" in body["solar"]["gsus"]["evidence"]
    distance = next(m for m in body["measurements"] if m["name"] == "capsule_distance")
    assert distance["value"] is None
    assert "scale" in distance["reason"]


def test_png_multipart_and_octet_stream_are_taken(client, samples):
    data = encoded(samples[View.LONGITUDINAL], ".png")
    answers = [
        client.post("/v1/frames", content=data, headers={"content-type": "image/png"}),
        client.post("/v1/frames", content=data, headers={"content-type": "application/octet-stream"}),
        client.post("/v1/frames", files={"file": ("f.png", data, "image/png")}),
    ]
    assert [a.status_code for a in answers] == [200, 200, 200]
    assert len({a.json()["id"] for a in answers}) == 1


def test_every_answer_carries_id_and_timing(client):
    answer = client.get("/healthz", headers={"X-Request-ID": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert "dur=" in answer.headers["server-timing"]
    assert client.get("/healthz", headers={"X-Request-ID": "bad id!"}).headers["x-request-id"] != "bad id!"
    assert client.get("/nowhere").headers["x-request-id"]


def test_a_frames_time_is_told_by_stage(client, samples):
    data = encoded(samples[View.LONGITUDINAL])
    read = ["queue", "decode", "preprocess", "network", "interpret", "total"]
    for route, stages in (
        ("frames", [*read, "encode"]),
        ("frames/overlay", [*read, "draw"]),
        ("frames/mask", [*read, "draw"]),
        ("frames/mask?raw=true", ["queue", "decode", "network", "draw"]),
    ):
        answer = client.post(f"/v1/{route}", content=data, headers=JPEG)
        told = dict(stage.split(";dur=") for stage in answer.headers["server-timing"].split(", "))
        assert list(told) == [*stages, "app"]
        assert sum(float(ms) for stage, ms in told.items() if stage not in ("total", "app")) <= float(told["app"]) + 0.1
        if route == "frames":
            assert list(answer.json()["timings_ms"]) == read


def test_overlay_and_mask_have_the_frame_size(client, samples):
    sample = samples[View.ILIOPECTINEAL]
    shape = sample.frame.pixels.shape[:2]
    overlay = client.post("/v1/frames/overlay", content=encoded(sample), headers=JPEG)
    assert overlay.headers["content-type"] == "image/png"
    drawn = cv2.imdecode(np.frombuffer(overlay.content, np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape == (*shape, 3)
    assert (drawn.max(axis=2).astype(int) - drawn.min(axis=2) > 60).any(), "outlines have colour"
    for query in ("", "?raw=true"):
        mask = Image.open(
            io.BytesIO(client.post(f"/v1/frames/mask{query}", content=encoded(sample), headers=JPEG).content)
        )
        assert mask.mode == "P"
        assert np.asarray(mask).shape == shape
        assert set(np.unique(np.asarray(mask))) <= set(range(10))


def test_a_cine_streams_a_line_a_frame_then_its_summary(client, cine_bytes):
    answer = client.post("/v1/cines?pictures=jpeg", content=cine_bytes, headers=DICOM)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *readings, last = [orjson.loads(line) for line in answer.content.splitlines()]
    assert [r["frame"]["index"] for r in readings] == [0, 1, 2, 3]
    assert all(r["picture"].startswith("data:image/jpeg") for r in readings)
    assert all(r["frame"]["spacing_source"] == "dicom-region" for r in readings)
    assert last["summary"]["frames"] == 4
    assert last["summary"]["error"] is None
    graded = [line["solar"]["gsus"]["grade"] for line in readings]
    told = last["summary"]["cine"]
    assert told["grade"] is not None and told["grade"] in graded
    assert readings[told["deciding_seq"]]["solar"]["gsus"]["grade"] == told["grade"]
    assert [line["seq"] for line in readings] == [0, 1, 2, 3]


def test_one_frame_of_a_cine_must_be_named(client, cine_bytes):
    refused = client.post("/v1/frames", content=cine_bytes, headers=DICOM)
    assert refused.status_code == 422
    assert "?frame=" in refused.json()["detail"]
    taken = client.post("/v1/frames?frame=2", content=cine_bytes, headers=DICOM)
    assert taken.json()["frame"]["index"] == 2
    assert client.post("/v1/frames?frame=9", content=cine_bytes, headers=DICOM).status_code == 422


def test_service_routes(client):
    model = client.get("/v1/model").json()
    assert model["spec"]["name"] == "starter"
    assert "phantom" in model["card"].lower()
    assert model["provider"] == "cpu"
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["provider"]) == ("ready", "cpu")
    assert "swagger" in client.get("/docs").text
    assert client.get("/swagger/swagger-ui-bundle.js").status_code == 200
    assert "/v1/frames" in client.get("/openapi.json").json()["paths"]
    assert "hipsono" in client.get("/").text


WRONG = [
    ("empty", b"", JPEG, 422),
    ("noise", b"\x00\x01nonsense" * 40, JPEG, 415),
    ("unknown type", b"abc", {"content-type": "text/plain"}, 415),
    ("no type", b"abc", {}, 415),
    ("cut jpeg", None, JPEG, 422),
    ("tiny", cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes(), {"content-type": "image/png"}, 422),
    ("too large", b"\xff\xd8\xff" + b"0" * 9_000_000, JPEG, 413),
    ("dicom without pixels", b"\0" * 128 + b"DICM" + b"\0" * 60, DICOM, 422),
    ("form without file", b"--x--\r\n", {"content-type": "multipart/form-data; boundary=x"}, 422),
]


@pytest.mark.parametrize(("data", "headers", "status"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
@pytest.mark.parametrize("route", ["/v1/frames", "/v1/frames/overlay", "/v1/frames/mask", "/v1/cines"])
def test_wrong_uploads_are_refused_and_the_server_goes_on(client, samples, route, data, headers, status):
    if data is None:
        data = encoded(samples[View.LONGITUDINAL])[:900]
        status = 415 if route == "/v1/cines" else status
    if route == "/v1/cines" and headers.get("content-type") == "image/png":
        status = 415
    answer = client.post(route, content=data, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert len(problem["detail"]) > 15
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "spacing_mm=1",
        "spacing_mm=0,0.1",
        "spacing_mm=a,b",
        "spacing_mm=-1,1",
        "laterality=up",
        "age_years=-3",
        "age_years=x",
        "age_years=nan",
        "spacing_mm=nan,0.1",
        "spacing_mm=inf,0.1",
        "frame=-1",
        "frame=1",
        "pictures=png",
        "spacing_mm=",
        "spacing_mm=0.1,0.1&spacing_mm=0.2,0.2",
    ],
)
def test_impossible_queries_are_refused(client, samples, query):
    answer = client.post(f"/v1/frames?{query}", content=encoded(samples[View.LONGITUDINAL]), headers=JPEG)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("route", ["/v1/frames", "/v1/frames/overlay", "/v1/frames/mask", "/v1/cines"])
def test_a_mistyped_query_is_refused_with_what_is_known(client, samples, route):
    """Passed over, `spacing` would cost all millimetres without a word."""
    answer = client.post(f"{route}?spacing=0.1,0.1", content=encoded(samples[View.LONGITUDINAL]), headers=JPEG)
    assert answer.status_code == 422
    assert "unknown query parameter 'spacing': this route knows " in answer.json()["detail"]
    assert "spacing_mm" in answer.json()["detail"]


@pytest.mark.parametrize("route", ["/v1/frames", "/v1/frames/overlay", "/v1/frames/mask"])
def test_frame_routes_take_the_same_queries(client, samples, route):
    """One picture asked for three ways: what is known of it is told in the same words."""
    query = "?spacing_mm=0.1,0.1&laterality=left&age_years=9&frame=0"
    assert client.post(f"{route}{query}", content=encoded(samples[View.LONGITUDINAL]), headers=JPEG).status_code == 200


def test_a_side_that_is_none_is_told_the_sides(client, samples):
    refused = client.post("/v1/frames?laterality=up", content=encoded(samples[View.LONGITUDINAL]), headers=JPEG)
    assert refused.json()["detail"] == "laterality is left, right, unknown; got 'up'"


def test_what_is_known_of_a_picture_is_no_field_of_the_form(client, samples):
    """Passed over, it would cost the millimetres."""
    form = {"files": {"file": ("a.jpg", encoded(samples[View.LONGITUDINAL]))}, "data": {"spacing_mm": "0.1,0.1"}}
    refused = client.post("/v1/frames", **form)
    assert refused.status_code == 422
    assert "?spacing_mm=" in refused.json()["detail"]


def test_a_picture_can_be_had_as_it_was_read(client, samples):
    """A browser would turn it by its EXIF orientation, which is not heeded: outlines would lie elsewhere."""
    grey = samples[View.LONGITUDINAL].frame.grey
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = io.BytesIO()
    Image.fromarray(grey).save(turned, "JPEG", exif=exif, quality=95)
    body = client.post("/v1/frames?pictures=jpeg", content=turned.getvalue(), headers=JPEG).json()
    picture = Image.open(io.BytesIO(base64.b64decode(body["picture"].partition(",")[2])))
    assert picture.size == (body["frame"]["width"], body["frame"]["height"]) == grey.shape[::-1]
    assert picture.getexif().get(0x0112, 1) == 1
    assert "picture" not in client.post("/v1/frames", content=turned.getvalue(), headers=JPEG).json()


def test_the_description_is_valid_openapi_3_0(client):
    told = client.get("/openapi.json").json()
    assert told["openapi"] == "3.0.3"
    OpenAPIV30SpecValidator(told).validate()
    picture = told["components"]["schemas"]["PicturedBody"]["properties"]
    assert picture["picture"] == {"type": "string", "nullable": True, "description": "a data URI", "title": "Picture"}


def test_the_description_fits_the_answers(client, samples):
    """A client made from it reads what the server sends, nulls included."""
    told = client.get("/openapi.json").json()
    schema = told["paths"]["/v1/frames"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    body = client.post("/v1/frames", content=encoded(samples[View.LONGITUDINAL]), headers=JPEG).json()
    OAS30Validator({**schema, "components": told["components"]}).validate(body)


def test_every_refusal_of_a_reading_route_is_declared(client):
    paths = client.get("/openapi.json").json()["paths"]
    for route in ("/v1/frames", "/v1/frames/overlay", "/v1/frames/mask", "/v1/cines"):
        told = paths[route]["post"]["responses"]
        for status in ("403", "408", "411", "413", "415", "422", "500", "503", "504"):
            assert list(told[status]["content"]) == ["application/problem+json"], (route, status)


@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\0" * 128 + b"DICM"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_bytes_are_a_server_error(client, tail, head):
    answer = client.post("/v1/frames", content=head + tail, headers={"content-type": "application/octet-stream"})
    assert answer.status_code in (415, 422)


def test_a_multipart_body_of_unknown_length_is_refused_before_it_is_stored(client):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/v1/frames", content=iter([b"--x\r\n", b"0" * 100]), headers=headers)
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["detail"]


def test_a_raw_body_of_unknown_length_is_counted(client):
    parts = (b"\xff\xd8\xff" + b"0" * 1_000_000 for _ in range(12))
    assert client.post("/v1/frames", content=parts, headers=JPEG).status_code == 413


def test_unknown_routes_and_methods_are_problems(client):
    assert client.get("/v1/nothing").json()["status"] == 404
    refused = client.get("/v1/frames")
    assert (refused.json()["status"], refused.headers["allow"]) == (405, "POST")


def test_a_stream_asked_for_as_a_page_says_what_it_is(client):
    told = client.get("/v1/stream")
    assert (told.status_code, told.headers["upgrade"]) == (426, "websocket")
    assert "docs/live.md" in told.json()["detail"]


def test_a_browser_asks_for_the_pages_parts_anew(client):
    """Parts of two versions would not fit together."""
    for path in ("/", "/static/viewer.js"):
        assert client.get(path).headers["cache-control"] == "no-cache"
