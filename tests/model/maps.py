"""Network answers made by hand: shapes whose millimetres are known."""

import numpy as np

from model.anatomy import POINT_LANDMARK_NAMES, VIEWS, View
from model.frame import Frame, whole_frame
from model.geometry import Placement
from model.runtime import Maps
from model.spec import NetworkSpec

SPEC = NetworkSpec("hand", "1", "nothing", 256, 256)
UNMOVED = Placement(0, 0, 1.0, 1.0, 0, 0)
GREY = np.zeros((256, 256), np.uint8)
SCALED = Frame(GREY, regions=whole_frame(256, 256, (0.2, 0.2)), age_years=10)


def maps_of(labels, view, points=None, gsus=(0.02, 0.08, 0.85, 0.05), confidence=0.95):
    """Maps that show the labels (h, w) in a view, with points {name: (x, y)}."""
    structures = np.zeros(9, np.float32)
    present = np.unique(labels)
    structures[[int(i) - 1 for i in present if i > 0]] = confidence
    landmarks = np.zeros((len(POINT_LANDMARK_NAMES), 4), np.float32)
    for name, (x, y) in (points or {}).items():
        landmarks[POINT_LANDMARK_NAMES.index(name)] = x, y, 0.9, 1.0
    told = np.full(len(VIEWS), 0.01, np.float32)
    told[VIEWS.index(view)] = 0.97
    return Maps(np.asarray(labels, np.uint8), structures, landmarks, told, np.array(gsus, np.float32))


def disc(labels, centre, radius, value):
    """Draws a disc of a value into labels (h, w)."""
    rows, columns = np.ogrid[: labels.shape[0], : labels.shape[1]]
    labels[(columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 <= radius**2] = value


def straight_joint():
    """A level neck at row 150, capsule 40 px above it sinking to the insertion: labels (256, 256) and points."""
    labels = np.zeros((256, 256), np.uint8)
    for x in range(20, 221):
        top = 110 if x < 180 else 110 + (x - 180)
        labels[round(top) : 150, x] = 9
    labels[150:158, 100:221] = 8
    labels[150:158, 20:100] = 7
    points = {"head_neck_junction": (100, 150), "capsule_insertion": (220, 150), "acetabular_rim": (20, 150)}
    return labels, points, View.LONGITUDINAL


def transverse():
    """A vein left of an artery, tendon below, bone at row 200 with summits at x 60 and 180."""
    labels = np.zeros((256, 256), np.uint8)
    labels[200:208, 30:90] = 3
    labels[200:208, 150:210] = 1
    disc(labels, (90, 180), 14, 2)
    disc(labels, (80, 100), 20, 4)
    disc(labels, (30, 100), 20, 5)
    return labels, {"aiis": (180, 200), "iliopectineal_eminence": (60, 200)}, View.ILIOPECTINEAL
