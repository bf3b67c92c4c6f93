"""Rows of a report: a number with its unit, a coded word, a text; each under a title of its own."""

from typing import Final

from highdicom.sr import CodedConcept, Measurement, QualitativeEvaluation, RelationshipTypeValues, TextContentItem

from serving.dicom_out.codes import Term, private

MILLIMETRE: Final = Term("mm", "UCUM", "millimeter")
PERCENT: Final = Term("%", "UCUM", "percent")
COUNT: Final = Term("1", "UCUM", "no units")


def coded(term: Term) -> CodedConcept:
    """A term as highdicom takes it."""
    return CodedConcept(term.value, term.scheme, term.meaning)


def number(name: Term, value: float, unit: Term) -> Measurement:
    """A number to two decimals."""
    return Measurement(coded(name), round(value, 2), coded(unit))


def quality(name: str, title: str, value: str) -> QualitativeEvaluation:
    """A word, coded in our own scheme."""
    return QualitativeEvaluation(coded(private(name, title)), coded(private(value.replace(" ", "_"), value)))


def grade_words(grade: int | None) -> str:
    """A grade as reports tell it; its absence is told too."""
    return "not gradable" if grade is None else f"grade {grade}"


def texts(told: dict[str, tuple[str, str | None]]) -> list[TextContentItem]:
    """A row a name that has something to say: {name: (title, text)}."""
    return [
        TextContentItem(coded(private(name, title)), text, RelationshipTypeValues.CONTAINS)
        for name, (title, text) in told.items()
        if text
    ]
