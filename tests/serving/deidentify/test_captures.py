"""Captures de-identified: they stay valid, whatever pixels they came with."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from datasets.dicom import read_dicom
from serving.deidentify.clean import Cleaner, Identities
from serving.deidentify.pseudonyms import Pseudonyms
from tests.serving.deidentify.conftest import OUTSIDE

pytestmark = pytest.mark.skipif(not shutil.which("dciodvfy"), reason="no dciodvfy: install dicom3tools")


def errors_of_twin(folder):
    """What is wrong with the twin of a folder's capture by dciodvfy."""
    twin = Cleaner(Identities(Pseudonyms(b"k" * 32))).clean(folder / "capture.dcm", "capture")
    (folder / "twin.dcm").write_bytes(twin.data)
    told = subprocess.run(["dciodvfy", str(folder / "twin.dcm")], capture_output=True, text=True)
    return [line for line in told.stderr.splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("kind", [SecondaryCaptureImageStorage, MultiFrameTrueColorSecondaryCaptureImageStorage])
def test_a_capture_of_one_frame_stays_valid(planted, tmp_path, kind):
    source = pydicom.dcmread(next(planted.rglob(OUTSIDE)))
    source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID = kind
    source.ConversionType, source.NumberOfFrames = "WSD", 1
    source.PixelData = source.PixelData[: len(source.PixelData) // 3]
    source.save_as(tmp_path / "capture.dcm")
    assert errors_of_twin(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "bits", "is_coloured"),
    [
        (MultiFrameGrayscaleByteSecondaryCaptureImageStorage, 8, False),
        (MultiFrameGrayscaleWordSecondaryCaptureImageStorage, 16, False),
        (MultiFrameTrueColorSecondaryCaptureImageStorage, 8, False),
        (MultiFrameTrueColorSecondaryCaptureImageStorage, 8, True),
    ],
)
def test_a_capture_of_frames_is_of_the_class_of_its_pixels(planted, tmp_path, kind, bits, is_coloured):
    """Grey frames of a class for colour, and those of 16 bits, are kept, as 8 bits of grey."""
    source = pydicom.dcmread(next(planted.rglob(OUTSIDE)))
    grey = source.pixel_array if source.pixel_array.ndim == 3 else source.pixel_array.max(axis=3)
    frames = grey.astype(np.uint16) * 257 if bits == 16 else grey
    if kind == MultiFrameTrueColorSecondaryCaptureImageStorage:
        frames = np.repeat(frames[..., None], 3, axis=3)
        frames[:, 200:260, 200:260, 1:] //= 1 + int(is_coloured)
        source.PlanarConfiguration = 0
    source.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    source.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    source.BitsAllocated, source.BitsStored, source.HighBit = bits, bits, bits - 1
    source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID = kind
    source.ConversionType, source.PixelData = "WSD", frames.tobytes()
    source.save_as(tmp_path / "capture.dcm")
    assert errors_of_twin(tmp_path) == []
    assert len(read_dicom(tmp_path / "twin.dcm")) == len(frames)
