"""What may be told of an instance: nothing that is not allowed, wherever it stands, and relations that hold."""

import re
from datetime import date, timedelta
from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from serving.deidentify.header import SOP_CLASSES, clean_header, identifying_words, residue
from serving.deidentify.pseudonyms import Pseudonyms, keep_key

KEY = Pseudonyms(b"k" * 32)
UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
TEXT = {"LO", "SH", "LT", "ST", "UT", "PN", "AE", "UC", "CS"}
PLANTED = "ZZPLANTED"


def instance(**changes):
    header = Dataset()
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    for number, name in enumerate(UIDS, start=1):
        setattr(header, name, f"1.2.3.{number}")
    header.PatientID, header.StudyDate, header.Modality = "MRN-1", "20250911", "US"
    for name, value in changes.items():
        setattr(header, name, value)
    return header


def everywhere():
    """A header with the planted text in every text attribute of the standard, in private ones, and all that again
    inside sequences.
    """

    def filled(depth):
        dataset = Dataset()
        for tag, (vr, *_) in DicomDictionary.items():
            if vr in TEXT and tag >> 16 > 2 and keyword_for_tag(tag):
                setattr(dataset, keyword_for_tag(tag), PLANTED)
        dataset.private_block(0x0099, "ACME", create=True).add_new(1, "LO", PLANTED)
        if depth:
            for name in ("OtherPatientIDsSequence", "SequenceOfUltrasoundRegions", "ReferencedSeriesSequence"):
                setattr(dataset, name, Sequence([filled(depth - 1)]))
        return dataset

    header = filled(2)
    header.update(instance(PatientID=PLANTED))
    for name in ("PatientBirthDate", "StudyDate", "ContentDate"):
        setattr(header, name, "20120307")
    return header


def written(dataset):
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def test_nothing_planted_is_left_wherever_it_stood():
    header = everywhere()
    assert written(header).count(PLANTED.encode()) > 1000
    cleaned = written(clean_header(header, KEY))
    assert PLANTED.encode() not in cleaned
    for old in (b"1.2.3.1", b"1.2.3.2", b"1.2.3.3", b"20120307"):
        assert old not in cleaned


def test_what_is_needed_to_read_it_stays():
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.PhysicalDeltaX = 1, 1, 0.02
    region.RegionLocationMinX0, region.TransducerFrequency = 5, 7500
    header = instance(PatientAge="009Y", PatientSex="F", ImageLaterality="L", SequenceOfUltrasoundRegions=[region])
    cleaned = clean_header(header, KEY)
    assert cleaned.SequenceOfUltrasoundRegions[0] == region
    assert (cleaned.PatientAge, cleaned.PatientSex, cleaned.ImageLaterality) == ("108M", "F", "L")
    assert cleaned.Modality == "US"


def test_the_oldest_are_told_as_ninety_and_an_age_is_told_without_a_birth_date():
    assert clean_header(instance(PatientAge="097Y"), KEY).PatientAge == "090Y"
    assert clean_header(instance(PatientBirthDate="20150911"), KEY).PatientAge == "120M"


def test_a_text_where_a_number_belongs_does_not_pass():
    region = Dataset()
    region.add_new("PhysicalDeltaX", "LO", PLANTED)
    cleaned = clean_header(instance(SequenceOfUltrasoundRegions=[region]), KEY)
    assert "PhysicalDeltaX" not in cleaned.SequenceOfUltrasoundRegions[0]


def test_a_maker_that_names_the_patient_is_not_told():
    cleaned = clean_header(instance(PatientName="Kowalski^Anna", Manufacturer="Scanner of Kowalski"), KEY)
    assert cleaned.Manufacturer == ""
    assert clean_header(instance(Manufacturer="ACUSON"), KEY).Manufacturer == "ACUSON"


def test_flags_claim_nothing_before_a_person_has_looked():
    cleaned = clean_header(instance(), KEY)
    assert (cleaned.PatientIdentityRemoved, cleaned.BurnedInAnnotation) == ("NO", "YES")
    methods = [item.CodeValue for item in cleaned.DeidentificationMethodCodeSequence]
    assert methods == ["113100", "113107", "113108"]
    assert cleaned.LongitudinalTemporalInformationModified == "MODIFIED"


def test_an_instance_without_its_uids_is_refused():
    header = instance()
    del header.SeriesInstanceUID
    with pytest.raises(ValueError, match="SeriesInstanceUID"):
        clean_header(header, KEY)


@pytest.mark.parametrize(
    "told", [PLANTED, f"1.2.840.10008.5.1.4.1.1.6.1.{PLANTED}", "1.2.840.10008.5.1.4.1.1.4", "", None]
)
def test_an_instance_of_no_known_class_is_refused_whatever_its_name_says(told):
    header = instance(PatientID=PLANTED)
    header.SOPClassUID = told
    with pytest.raises(ValueError, match="SOP class") as raised:
        clean_header(header, KEY)
    assert PLANTED not in str(raised.value)


@pytest.mark.parametrize("kind", SOP_CLASSES)
def test_what_is_ultrasound_or_a_capture_of_it_passes(kind):
    assert clean_header(instance(SOPClassUID=kind), KEY).SOPClassUID == kind
    assert residue(clean_header(instance(SOPClassUID=kind), KEY), identifying_words(instance(SOPClassUID=kind))) == ()


def test_every_uid_is_new_or_names_a_class():
    uids = [one.value for one in clean_header(everywhere(), KEY) if one.VR == "UI"]
    assert len(uids) == 4
    assert all(re.fullmatch(r"2\.25\.\d+", one) or one in SOP_CLASSES for one in uids)


def test_what_is_left_is_found():
    words = identifying_words(instance(PatientName="Kowalski^Anna", AccessionNumber="ACC99"))
    assert {"kowalski", "anna", "acc99", "mrn-1"} <= words
    cleaned = clean_header(instance(), KEY)
    assert residue(cleaned, words) == ()
    cleaned.StudyDescription = "Kowalski hip"
    assert residue(cleaned, words) == ("StudyDescription",)


@pytest.mark.parametrize("filler", ["00010101", "19000101", "19700101", "99991231"])
def test_a_filler_for_a_date_is_dropped(filler):
    cleaned = clean_header(instance(StudyDate=filler, SeriesDate=filler, ContentDate="20250911"), KEY)
    assert cleaned.StudyDate == "" and "SeriesDate" not in cleaned
    assert re.fullmatch(r"20\d{6}", cleaned.ContentDate)


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.integers(0, 4000), st.text(min_size=1))
def test_intervals_hold_and_dates_do_not(day, later, patient):
    first, second = KEY.shifted(day, patient), KEY.shifted(day + timedelta(days=later), patient)
    assert second - first == timedelta(days=later)
    assert 30 <= (day - first).days <= 1095


@given(st.text(), st.text())
def test_names_hold_for_a_key_and_for_no_other(one, other):
    assert KEY.uid(one) == KEY.uid(one)
    assert (KEY.uid(one) == KEY.uid(other)) == (one == other)
    assert KEY.uid(one) != Pseudonyms(b"l" * 32).uid(one)
    assert len(KEY.uid(one)) <= 64
    assert len(KEY.patient(one, other)) <= 64


def test_a_patient_without_an_id_is_told_apart_by_study():
    assert KEY.patient("", "1.2") != KEY.patient("", "1.3")
    assert KEY.patient("A", "1.2") == KEY.patient("A", "1.3")


def test_a_key_is_kept_secret_and_found_again(tmp_path):
    made = keep_key(tmp_path / "private" / "key")
    assert keep_key(tmp_path / "private" / "key") == made
    assert (tmp_path / "private" / "key").stat().st_mode & 0o077 == 0
    assert made.key.hex() not in repr(made)
    (tmp_path / "other").write_text("no key")
    with pytest.raises(ValueError, match="hexadecimal"):
        keep_key(tmp_path / "other")
