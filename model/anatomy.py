"""The one ordered table of views, structures and landmarks: names, ids, titles, colours and codes.

Ids and names are those of the annotation protocol; the order of each table is the order of the network's channels.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class View(StrEnum):
    """Which picture this is; one per frame."""

    ILIOPECTINEAL = "iliopectineal"
    INFEROMEDIAL = "inferomedial_acetabulum"
    LONGITUDINAL = "anterior_longitudinal"
    OTHER = "other"


class Laterality(StrEnum):
    """Side of the patient's hip; it comes from the source, never from the picture."""

    LEFT = "left"
    RIGHT = "right"
    UNKNOWN = "unknown"


class Tissue(StrEnum):
    """What a structure is made of, for drawing and for measures that apply to a kind."""

    BONE = "bone"
    VESSEL = "vessel"
    TENDON = "tendon"
    RECESS = "recess"


@dataclass(frozen=True, slots=True)
class Structure:
    """A mask class. `colour` is sRGB 0..255; `code` is a SNOMED CT code where one is confirmed."""

    id: int
    name: str
    title: str
    tissue: Tissue
    views: tuple[View, ...]
    colour: tuple[int, int, int]
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Landmark:
    """A point. `centroid_of` names the structure whose mask's centroid it is by definition."""

    name: str
    title: str
    views: tuple[View, ...]
    centroid_of: str | None = None


_PENG = (View.ILIOPECTINEAL,)
_INFEROMEDIAL = (View.INFEROMEDIAL,)
_SOLAR = (View.LONGITUDINAL,)
_VESSELS = (View.ILIOPECTINEAL, View.INFEROMEDIAL)

VIEWS: Final = tuple(View)
HIP_VIEWS: Final = (View.ILIOPECTINEAL, View.INFEROMEDIAL, View.LONGITUDINAL)
BACKGROUND: Final = 0

STRUCTURES: Final = (
    Structure(1, "aiis", "AIIS", Tissue.BONE, _PENG, (255, 196, 61)),
    Structure(2, "psoas_tendon", "Psoas tendon", Tissue.TENDON, _PENG, (124, 214, 92)),
    Structure(3, "iliopectineal_eminence", "Iliopectineal eminence", Tissue.BONE, _PENG, (255, 140, 66)),
    Structure(4, "femoral_artery", "Femoral artery", Tissue.VESSEL, _VESSELS, (239, 71, 86), "7657000"),
    Structure(5, "femoral_vein", "Femoral vein", Tissue.VESSEL, _VESSELS, (74, 132, 255), "83419000"),
    Structure(6, "inferomedial_acetabulum", "Inferomedial acetabulum", Tissue.BONE, _INFEROMEDIAL, (214, 162, 255)),
    Structure(7, "femoral_head", "Femoral head", Tissue.BONE, _SOLAR, (255, 209, 128), "2812003"),
    Structure(8, "femoral_neck", "Femoral neck", Tissue.BONE, _SOLAR, (188, 170, 120), "29627003"),
    Structure(9, "anterior_recess", "Anterior recess", Tissue.RECESS, _SOLAR, (64, 206, 200)),
)

LANDMARKS: Final = (
    Landmark("aiis", "AIIS summit", _PENG),
    Landmark("iliopectineal_eminence", "Iliopectineal eminence", _PENG),
    Landmark("psoas_tendon", "Psoas tendon", _PENG, centroid_of="psoas_tendon"),
    Landmark("femoral_artery", "Femoral artery", _VESSELS, centroid_of="femoral_artery"),
    Landmark("femoral_vein", "Femoral vein", _VESSELS, centroid_of="femoral_vein"),
    Landmark("inferomedial_acetabulum", "Inferomedial acetabulum", _INFEROMEDIAL),
    Landmark("head_neck_junction", "Head-neck junction", _SOLAR),
    Landmark("acetabular_rim", "Acetabular rim", _SOLAR),
    Landmark("capsule_insertion", "Capsule insertion", _SOLAR),
)

POINT_LANDMARKS: Final = tuple(landmark for landmark in LANDMARKS if landmark.centroid_of is None)
"""The landmarks the network must point at; the others are centroids of masks."""

GRADES: Final = (0, 1, 2, 3)

STRUCTURE_NAMES: Final = tuple(structure.name for structure in STRUCTURES)
LANDMARK_NAMES: Final = tuple(landmark.name for landmark in LANDMARKS)
POINT_LANDMARK_NAMES: Final = tuple(landmark.name for landmark in POINT_LANDMARKS)

_STRUCTURE_BY_NAME: Final = {structure.name: structure for structure in STRUCTURES}
_LANDMARK_BY_NAME: Final = {landmark.name: landmark for landmark in LANDMARKS}


def structure(name: str) -> Structure:
    """The structure of that name. Raises KeyError for a name outside the protocol."""
    return _STRUCTURE_BY_NAME[name]


def landmark(name: str) -> Landmark:
    """The landmark of that name. Raises KeyError for a name outside the protocol."""
    return _LANDMARK_BY_NAME[name]


def structures_of(view: View) -> tuple[Structure, ...]:
    """The structures that the protocol draws in a view, in table order."""
    return tuple(s for s in STRUCTURES if view in s.views)


def landmarks_of(view: View) -> tuple[Landmark, ...]:
    """The landmarks that the protocol places in a view, in table order."""
    return tuple(point for point in LANDMARKS if view in point.views)
