"""Reading -> JSON of schema version 1, in one encode; absent is null with its reason, or not in its list."""

from typing import Any

import cv2
import numpy as np
import orjson

from model.anatomy import VIEWS
from model.cine import CineGrade
from model.findings import FoundLandmark
from model.geometry import Points
from model.measure import Measurement
from model.reading import NOTICE, SCHEMA, Reading, StructureReading
from model.targets import Target

Body = dict[str, Any]


def encode_reading(reading: Reading, **extra: Any) -> bytes:
    """The reading as JSON bytes; `extra` are top-level members of a stream's answer (seq, dropped, age_ms)."""
    return orjson.dumps(reading_body(reading) | extra, option=orjson.OPT_SERIALIZE_NUMPY)


def reading_body(reading: Reading) -> Body:
    """The reading as plain values, points as arrays (N, 2)."""
    frame, view, solar = reading.frame, reading.view, reading.solar
    return {
        "schema": SCHEMA,
        "id": reading.id,
        "notice": NOTICE,
        "model": {
            "name": reading.model.name,
            "version": reading.model.version,
            "sha256": reading.model.sha256,
            "trained_on": reading.model.trained_on,
        },
        "looks": reading.looks,
        "frame": {
            "width": frame.width,
            "height": frame.height,
            "index": frame.index,
            "spacing_mm": frame.spacing_mm,
            "spacing_source": frame.spacing_source,
            "laterality": frame.laterality,
            "sector": frame.sector,
        },
        "view": {
            "name": view.name,
            "confidence": round(view.confidence, 4),
            "probabilities": {str(v): round(p, 4) for v, p in zip(VIEWS, view.probabilities, strict=True)},
        },
        "structures": [_structure(s) for s in reading.structures],
        "landmarks": [_landmark(p) for p in reading.landmarks],
        "targets": [_target(t) for t in reading.targets],
        "measurements": [_measurement(m) for m in reading.measurements],
        "solar": {
            "gsus": {
                "grade": solar.gsus.grade,
                "probabilities": [round(p, 4) for p in solar.gsus.probabilities] or None,
                "evidence": solar.gsus.evidence or None,
                "reason": solar.gsus.reason,
                "shape": solar.gsus.shape,
                "review": solar.gsus.review,
            },
            "pdus": {"literal": solar.pdus.literal, "calibrated": solar.pdus.calibrated, "reason": solar.pdus.reason},
            "combined": {"grade": solar.combined.grade, "reason": solar.combined.reason},
        },
        "warnings": reading.warnings,
        "timings_ms": {t.stage: round(t.ms, 3) for t in reading.timings},
    }


def cine_body(grade: CineGrade) -> Body:
    """What a cine's frames say together so far; `deciding_seq` numbers the frame that shows it most clearly."""
    told = grade.probabilities
    return {
        "grade": grade.grade,
        "probabilities": None if told is None else [round(p, 4) for p in told],
        "frames": grade.frames,
        "deciding_seq": grade.deciding,
    }


def _landmark(point: FoundLandmark) -> Body:
    return {
        "name": point.name,
        "x": round(point.x, 2),
        "y": round(point.y, 2),
        "confidence": round(point.confidence, 4),
        "spread_px": round(point.spread_px, 2),
    }


def _structure(found: StructureReading) -> Body:
    return {
        "name": found.name,
        "confidence": round(found.confidence, 4),
        "area_px": round(found.area_px, 1),
        "area_mm2": None if found.area_mm2 is None else round(found.area_mm2, 2),
        "bbox": [round(v, 1) for v in found.bbox],
        "contours": [_points(thinned(part)) for part in found.contours],
    }


def thinned(contour_xy: Points) -> Points:
    """The outline with the fewest points that stay within a third of a pixel of it (Douglas-Peucker)."""
    return np.asarray(cv2.approxPolyDP(contour_xy.astype(np.float32), 0.3, True), np.float64).reshape(-1, 2)


def _points(points_xy: Points) -> Points:
    return np.ascontiguousarray(np.round(points_xy, 1))


def _target(target: Target) -> Body:
    return {
        "name": target.name,
        "x": round(target.x, 2),
        "y": round(target.y, 2),
        "nerve": target.nerve,
        "clearance_mm": {
            c.structure: None if c.distance_mm is None else round(c.distance_mm, 2) for c in target.clearances
        },
        "safety": target.safety,
        "reason": target.reason,
    }


def _measurement(one: Measurement) -> Body:
    value = None if one.value is None else round(one.value, 4 if one.unit == "1" else 2)
    return {
        "name": one.name,
        "value": value,
        "spread": None if one.spread is None else round(one.spread, 2),
        "unit": one.unit,
        "points": _points(one.points_xy),
        "reason": one.reason,
    }
