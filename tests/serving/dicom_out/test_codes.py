"""Coded terms: one code, one meaning; and none longer than a code may be."""

from model.anatomy import GRADES, LANDMARKS, STRUCTURES, VIEWS
from serving.dicom_out.codes import landmark_term, private, structure_term

NAMES = (
    *("capsule_distance", "capsule_sagitta", "capsule_sagitta_ratio", "iliopectineal_target", "inferomedial_target"),
    *("to_femoral_artery", "to_femoral_vein", "confidence", "spread", "solar"),
    *("frames_analysed", "frames_graded", *(f"frames_{view}" for view in VIEWS), "cine_gsus", "cine_reason"),
    *("gsus", "pdus_literal", "pdus_calibrated", "combined", "review", "review_reason", "gsus_reason", "pdus_reason"),
    *("gsus_evidence", "safety", "safety_reason", "capsule_percentile", *(f"probability_{grade}" for grade in GRADES)),
    *("not_gradable", "asked_for", *(f"grade_{grade}" for grade in GRADES), "danger", "caution", "clear"),
)


def test_one_code_has_one_meaning():
    terms = {
        *(structure_term(one) for one in STRUCTURES),
        *(landmark_term(one) for one in LANDMARKS),
        *(private(name, name) for name in NAMES),
    }
    assert len({(term.scheme, term.value) for term in terms}) == len(terms)
    assert all(len(term.value) <= 16 for term in terms)


def test_a_point_of_a_structure_bears_its_code():
    points = {one.name: landmark_term(one) for one in LANDMARKS}
    assert points["femoral_artery"].value == "7657000"
    assert points["iliopectineal_eminence"].value == "ILI_EMINENCE"
    assert points["capsule_insertion"].value == "CAP_INSERTION"
