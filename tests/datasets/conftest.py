"""DICOM files made for the tests, by pydicom alone: the writer of the project is itself under test."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

Build = Callable[..., bytes]


def palette_tags(entries: np.ndarray, first: int = 0) -> dict:
    tags = {}
    for colour, column in zip(("Red", "Green", "Blue"), entries.T, strict=True):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [len(entries), first, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = column.astype("<u2").tobytes()
    return tags


def region_item(x0=0, y0=0, x1=39, y1=39, dx=0.01, dy=0.02, *, units=(3, 3), spatial=1, kind=1) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial, kind, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = dx, dy
    return item


def build_dataset(pixels: np.ndarray, photometric: str = "MONOCHROME2", regions=(), **tags) -> Dataset:
    """`pixels` is (H, W), (F, H, W), (H, W, 3) or (F, H, W, 3), as stored: nothing is converted."""
    is_colour = pixels.ndim > 2 and pixels.shape[-1] == 3
    frames = pixels if pixels.ndim == 3 + is_colour else pixels[None]
    bits = pixels.dtype.itemsize * 8
    dataset = Dataset()
    sop_class = UltrasoundImageStorage if len(frames) == 1 else UltrasoundMultiFrameImageStorage
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.Modality, dataset.PatientID = "US", "p1"
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3 if is_colour else 1), photometric
    if is_colour:
        dataset.PlanarConfiguration = 0
    if len(frames) > 1:
        dataset.NumberOfFrames = len(frames)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if regions:
        dataset.SequenceOfUltrasoundRegions = Sequence(regions)
    data = frames.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def dicom_bytes(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian and dataset.BitsAllocated == 16:
        dataset.PixelData = np.frombuffer(dataset.PixelData, np.uint16).byteswap().tobytes()
    file = io.BytesIO()
    encoding = {"implicit_vr": syntax == ImplicitVRLittleEndian, "little_endian": syntax != ExplicitVRBigEndian}
    dataset.save_as(file, enforce_file_format=True, **({} if dataset.file_meta.TransferSyntaxUID else encoding))
    return file.getvalue()


@pytest.fixture(scope="session")
def build_dicom() -> Build:
    """The bytes of a DICOM file: build_dicom(pixels, photometric, regions, syntax=..., Tag=value)."""

    def build(pixels, photometric="MONOCHROME2", regions=(), syntax=ExplicitVRLittleEndian, **tags) -> bytes:
        return dicom_bytes(build_dataset(pixels, photometric, regions, **tags), syntax)

    return build


@pytest.fixture(scope="session")
def build_region() -> Callable[..., Dataset]:
    """An item of SequenceOfUltrasoundRegions; deltas as written in the file (cm)."""
    return region_item


@pytest.fixture(scope="session")
def scan_pixels() -> np.ndarray:
    """A picture (60, 84) that is smooth enough for lossy codecs, yet different everywhere."""
    y, x = np.mgrid[:60, :84]
    return np.clip(120 + 70 * np.sin(x / 9) + 50 * np.cos(y / 7) + (x + y) % 5, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def colour_pixels(scan_pixels: np.ndarray) -> np.ndarray:
    """An RGB picture (60, 84, 3) with a red and a blue patch on grey."""
    rgb = np.repeat(scan_pixels[..., None], 3, axis=2)
    rgb[8:24, 8:32] = (230, 40, 20)
    rgb[32:48, 40:72] = (20, 60, 220)
    return rgb
