"""The JSON of schema version 1 as types: for /docs, /openapi.json and generated clients; never on the hot path."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ModelIdBody(_Body):
    """Which network read the frame."""

    name: str
    version: str
    sha256: str
    trained_on: str


class FrameBody(_Body):
    """What was read; `spacing_mm` is (row, column), null where no scale is known."""

    width: int
    height: int
    index: int
    spacing_mm: tuple[float, float] | None
    spacing_source: str | None
    laterality: Literal["left", "right", "unknown"]
    sector: tuple[int, int, int, int]


class ViewBody(_Body):
    """Which picture this is."""

    name: str
    confidence: float = Field(ge=0, le=1)
    probabilities: dict[str, float]


class StructureBody(_Body):
    """A structure's outlines in frame pixels."""

    name: str
    confidence: float
    area_px: float
    area_mm2: float | None
    bbox: tuple[float, float, float, float]
    contours: list[list[tuple[float, float]]]


class LandmarkBody(_Body):
    """A point in frame pixels; `spread_px` is the SD of its place."""

    name: str
    x: float
    y: float
    confidence: float
    spread_px: float


class TargetBody(_Body):
    """A denervation target named by its bone, with its clearance of the vessels."""

    name: str
    x: float
    y: float
    nerve: str
    clearance_mm: dict[str, float | None]
    safety: Literal["danger", "caution", "clear"] | None
    reason: str | None


class MeasurementBody(_Body):
    """A value with its unit and the SD of its error, or null with the reason."""

    name: str
    value: float | None
    spread: float | None
    unit: str
    points: list[tuple[float, float]]
    reason: str | None


class GsusBody(_Body):
    """Grey-scale grade 0..3, or null with the reason; `review` where grade and measured shape disagree."""

    grade: int | None
    probabilities: list[float] | None
    evidence: str | None
    reason: str | None
    shape: Literal["concave", "straight", "convex"] | None
    review: str | None


class PdusBody(_Body):
    """Power-Doppler grades 0..3, or null with the reason."""

    literal: int | None
    calibrated: int | None
    reason: str | None


class CombinedBody(_Body):
    """The higher of both grades."""

    grade: int | None
    reason: str | None


class SolarBody(_Body):
    """SOLAR grades of the frame."""

    gsus: GsusBody
    pdus: PdusBody
    combined: CombinedBody


class ReadingBody(_Body):
    """Everything read of one frame."""

    schema_version: Literal[1] = Field(alias="schema")
    id: str
    notice: str
    model: ModelIdBody
    looks: Literal[1, 2]
    frame: FrameBody
    view: ViewBody
    structures: list[StructureBody]
    landmarks: list[LandmarkBody]
    targets: list[TargetBody]
    measurements: list[MeasurementBody]
    solar: SolarBody
    warnings: list[str]
    timings_ms: dict[str, float]


class PicturedBody(ReadingBody):
    """A Reading; with `pictures=jpeg` also the frame as it was read."""

    picture: str | None = Field(None, description="a data URI")


class ModelBody(_Body):
    """The served network, and what runs it."""

    spec: dict[str, Any]
    sha256: str
    card: str | None
    demo: bool
    provider: Literal["cpu", "cuda", "tensorrt", "openvino", "directml"]
