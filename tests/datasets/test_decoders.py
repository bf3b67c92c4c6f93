"""Every decoder against the same reference pixels, encoded by another library than the one that decodes."""

import io

import cv2
import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from datasets.dicom import DECODERS, read_dicom

EXACT, LOSSY = 0, 6
NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
PACKED = {
    RLELossless: (gdcm.TransferSyntax.RLELossless, EXACT),
    JPEGBaseline8Bit: (gdcm.TransferSyntax.JPEGBaselineProcess1, LOSSY),
    JPEGLossless: (gdcm.TransferSyntax.JPEGLosslessProcess14, EXACT),
    JPEGLosslessSV1: (gdcm.TransferSyntax.JPEGLosslessProcess14_1, EXACT),
    JPEGLSLossless: (gdcm.TransferSyntax.JPEGLSLossless, EXACT),
    JPEGLSNearLossless: (gdcm.TransferSyntax.JPEGLSNearLossless, LOSSY),
    JPEG2000Lossless: (gdcm.TransferSyntax.JPEG2000Lossless, EXACT),
    JPEG2000: (gdcm.TransferSyntax.JPEG2000, LOSSY),
}


def packed_by_gdcm(plain: bytes, syntax: UID, folder) -> bytes:
    source, target = folder / "plain.dcm", folder / "packed.dcm"
    source.write_bytes(plain)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(PACKED[syntax][0]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target.read_bytes()


def assert_close(got: np.ndarray, expected: np.ndarray, tolerance: int) -> None:
    assert got.shape == expected.shape
    difference = np.abs(got.astype(int) - expected.astype(int))
    assert difference.max() <= 0 if tolerance == EXACT else difference.mean() <= tolerance, difference.mean()


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("kind", ["grey", "colour", "cine"])
def test_uncompressed(syntax, kind, build_dicom, scan_pixels, colour_pixels):
    pixels = {"grey": scan_pixels, "colour": colour_pixels, "cine": np.stack([scan_pixels, scan_pixels[::-1]])}[kind]
    cine = read_dicom(build_dicom(pixels, "RGB" if kind == "colour" else "MONOCHROME2", syntax=syntax))
    frames = [frame.pixels for frame in cine.frames()]
    np.testing.assert_array_equal(np.stack(frames), pixels if kind == "cine" else pixels[None])


@pytest.mark.parametrize("syntax", PACKED, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("kind", ["grey", "colour", "cine"])
def test_compressed(syntax, kind, build_dicom, scan_pixels, colour_pixels, tmp_path):
    pixels = {"grey": scan_pixels, "colour": colour_pixels, "cine": np.stack([scan_pixels, scan_pixels[::-1]])}[kind]
    plain = build_dicom(pixels, "RGB" if kind == "colour" else "MONOCHROME2")
    cine = read_dicom(packed_by_gdcm(plain, syntax, tmp_path))
    assert cine.transfer_syntax == syntax
    frames = np.stack([frame.pixels for frame in cine.frames()])
    assert_close(frames, pixels if kind == "cine" else pixels[None], PACKED[syntax][1])
    np.testing.assert_array_equal(cine.frame(len(cine) - 1).pixels, frames[-1])


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
def test_sixteen_bits_keep_their_order(syntax, build_dicom, scan_pixels, tmp_path):
    deep = scan_pixels.astype(np.uint16) * 16 + 7
    tags = {"BitsStored": 12, "HighBit": 11}
    plain = read_dicom(build_dicom(deep, **tags)).frame(0).pixels
    packed = read_dicom(packed_by_gdcm(build_dicom(deep, **tags), syntax, tmp_path)).frame(0).pixels
    np.testing.assert_array_equal(packed, plain)
    assert (plain.min(), plain.max()) == (0, 255)


def jpeg_in_dicom(rgb: np.ndarray, photometric: str, build_dicom) -> bytes:
    """A JPEG as a scanner stores it (YCbCr inside, JFIF marker), labelled rightly or wrongly."""
    jpeg = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    dataset = pydicom.dcmread(io.BytesIO(build_dicom(rgb, photometric)))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([jpeg])
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_a_jpeg_has_its_true_colours_whatever_its_label(photometric, build_dicom, colour_pixels):
    frame = read_dicom(jpeg_in_dicom(colour_pixels, photometric, build_dicom)).frame(0)
    assert_close(frame.pixels, colour_pixels, LOSSY)


def test_every_transfer_syntax_we_name_has_its_decoder_here():
    from pydicom.pixels.decoders.base import get_decoder

    for syntax, plugin in DECODERS.items():
        decoder = get_decoder(syntax)
        assert decoder.is_available
        if plugin:
            assert plugin in decoder.available_plugins, f"{syntax.name} needs {plugin}"
