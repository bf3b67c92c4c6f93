"""Coded terms: SNOMED CT and DCM where a code is confirmed, else a scheme of our own with the protocol's words."""

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from model.anatomy import STRUCTURE_NAMES, Landmark, Laterality, Structure, structure

PRIVATE: Final = "99HIPUS"


@dataclass(frozen=True, slots=True)
class Term:
    """A code of a scheme with its meaning."""

    value: str
    scheme: str
    meaning: str

    def item(self) -> Dataset:
        """The term as an item of a code sequence."""
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = self.value, self.scheme, self.meaning
        return item


ANATOMICAL_STRUCTURE: Final = Term("91723000", "SCT", "Anatomical Structure")
HIP_JOINT: Final = Term("24136001", "SCT", "Hip joint")
SIDES: Final = {
    Laterality.LEFT: Term("7771000", "SCT", "Left"),
    Laterality.RIGHT: Term("24028007", "SCT", "Right"),
}
SEGMENTATION: Final = Term("113076", "DCM", "Segmentation")
SOURCE_FOR_PROCESSING: Final = Term("121322", "DCM", "Source image for image processing operation")
ARTIFICIAL_INTELLIGENCE: Final = Term("123110", "DCM", "Artificial Intelligence")


def _short(name: str) -> str:
    """A name within 16 characters: the first letters of all its words but the last where it is longer."""
    words = name.split("_")
    return name if len(name) <= 16 else "_".join((*(word[:3] for word in words[:-1]), words[-1]))[:16]


def private(name: str, meaning: str) -> Term:
    """A term of our own: the protocol's name in capitals, shortened where it is longer than a code's 16 characters."""
    return Term(_short(name).upper(), PRIVATE, meaning)


FRAMES_ANALYSED: Final = private("frames_analysed", "Frames analysed")


def structure_term(shown: Structure) -> Term:
    """What a segment shows."""
    if shown.code is None:
        return private(shown.name, shown.title)
    return Term(shown.code, "SCT", shown.title)


def landmark_term(point: Landmark) -> Term:
    """What a point marks: the structure of its name, or a place of its own. One code has one meaning."""
    if point.name in STRUCTURE_NAMES:
        return structure_term(structure(point.name))
    return private(point.name, point.title)
