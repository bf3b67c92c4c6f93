"""Any file to frames: told by content, decoded rightly, refused in words."""

import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.files import FileKind, FrameOptions, UnreadableFile, decode_picture, kind_of, list_files, read_frames
from datasets.picture import GREY_TOLERANCE, grey_if_colourless
from model.anatomy import Laterality
from model.frame import Region, whole_frame


def encoded(picture: np.ndarray, suffix: str = ".png", *flags: int) -> bytes:
    """A file of a grey, RGB or RGBA picture."""
    if picture.ndim == 3:
        picture = picture[..., [2, 1, 0, 3][: picture.shape[2]]]
    return cv2.imencode(suffix, picture, flags)[1].tobytes()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def palette_png(indices: np.ndarray, colours: np.ndarray) -> bytes:
    header = struct.pack(">IIBBBBB", indices.shape[1], indices.shape[0], 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in indices.astype(np.uint8))
    parts = [(b"IHDR", header), (b"PLTE", colours.tobytes()), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 60_001)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def huge_jpeg(scan: bytes) -> bytes:
    at = scan.index(b"\xff\xc0")
    return scan[: at + 5] + struct.pack(">HH", 60_000, 60_000) + scan[at + 9 :]


def test_png(scan_pixels, colour_pixels):
    np.testing.assert_array_equal(decode_picture(encoded(scan_pixels)).pixels, scan_pixels)
    np.testing.assert_array_equal(decode_picture(encoded(colour_pixels)).pixels, colour_pixels)


def test_jpeg_colours(colour_pixels):
    got = decode_picture(encoded(colour_pixels, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)).pixels
    assert np.abs(got.astype(int) - colour_pixels).mean() < 3


@pytest.mark.parametrize("quality", [30, 60, 95])
def test_grey_content_in_a_colour_file_is_grey(quality, scan_pixels):
    rgb = np.repeat(scan_pixels[..., None], 3, axis=2)
    assert decode_picture(encoded(rgb, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)).pixels.ndim == 2
    np.testing.assert_array_equal(decode_picture(encoded(rgb)).pixels, scan_pixels)


@settings(max_examples=40)
@given(row=st.integers(0, 59), column=st.integers(0, 83), excess=st.integers(1, 60))
def test_one_coloured_pixel_anywhere_is_colour(row, column, excess):
    rgb = np.full((60, 84, 3), 100, np.uint8)
    rgb[row, column, 0] += GREY_TOLERANCE
    assert grey_if_colourless(rgb).ndim == 2
    rgb[row, column, 0] += excess
    assert grey_if_colourless(rgb).ndim == 3


def test_sixteen_bits_palette_and_alpha(scan_pixels, colour_pixels):
    deep = scan_pixels.astype(np.uint16) * 257
    np.testing.assert_array_equal(decode_picture(encoded(deep)).pixels, scan_pixels)
    colours = np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint8)
    np.testing.assert_array_equal(decode_picture(palette_png(scan_pixels, colours)).pixels, colours[scan_pixels])
    alpha = np.full((*scan_pixels.shape, 1), 255, np.uint8)
    alpha[:30] = 0
    got = decode_picture(encoded(np.concatenate([colour_pixels, alpha], axis=2))).pixels
    assert (got[:30] == 0).all()
    np.testing.assert_array_equal(got[30:], colour_pixels[30:])


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_picture_of_fewer_bits_in_sixteen_is_not_all_but_black(scan_pixels, bits):
    full = scan_pixels.copy()
    full[0, 0] = 255
    deep = full.astype(np.uint16) << (bits - 8)
    told = decode_picture(encoded(deep))
    np.testing.assert_array_equal(told.pixels, full)
    assert told.warnings == (
        () if bits == 16 else (f"a picture of 16 bits that fills {bits} is taken for one of {bits}",)
    )
    clear = np.full((*deep.shape, 4), 65535, np.uint16)
    clear[..., :3] = deep[..., None]
    np.testing.assert_array_equal(decode_picture(encoded(clear)).grey, full)


def test_a_turned_phone_picture_keeps_the_pixels_as_stored(scan_pixels):
    jpeg = encoded(scan_pixels, ".jpg")
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    assert decode_picture(turned).pixels.shape == scan_pixels.shape


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_cut_pictures_are_refused(suffix, scan_pixels):
    data = encoded(scan_pixels, suffix)
    for cut in (10, 40, len(data) // 2, len(data) - 30):
        with pytest.raises(UnreadableFile, match=r"cut short|cannot be decoded"):
            decode_picture(data[:cut], name="upload")


def test_sizes_are_looked_at_before_decoding(scan_pixels):
    for data in (huge_png(), huge_jpeg(encoded(scan_pixels, ".jpg"))):
        start = time.thread_time()
        with pytest.raises(UnreadableFile, match="60000 x 60000"):
            decode_picture(data)
        assert time.thread_time() - start < 0.1
    with pytest.raises(UnreadableFile, match="at least 32"):
        decode_picture(encoded(scan_pixels[:20]))


@settings(max_examples=100)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\0" * 128 + b"DICM"]))
def test_rubbish_is_refused(data, start):
    with pytest.raises(UnreadableFile):
        list(read_frames(start + data, name="rubbish"))


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0", FileKind.JPEG),
        (b"\x89PNG\r\n\x1a\n", FileKind.PNG),
        (b"\0" * 128 + b"DICM", FileKind.DICOM),
        (b"\x08\0\x05\0CS" + b"\0" * 200, FileKind.DICOM),
        (b"\0\x08\0\x05CS" + b"\0" * 200, FileKind.DICOM),
        (b"\0\0\0\x20ftypisom", FileKind.VIDEO),
        (b"RIFF\0\0\0\0AVI LIST", FileKind.VIDEO),
        (b"\x1a\x45\xdf\xa3", FileKind.VIDEO),
        (b"%PDF-1.7", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_kinds_are_told_by_content(head, kind):
    assert kind_of(head) is kind


@pytest.fixture
def video(tmp_path: Path, colour_pixels) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (84, 60))
    for shift in range(5):
        writer.write(np.ascontiguousarray(np.roll(colour_pixels, shift, axis=1)[..., ::-1]))
    writer.release()
    return path


def test_video_from_path_and_bytes(video: Path, colour_pixels):
    for source in (video, video.read_bytes()):
        frames = list(read_frames(source, name="clip"))
        assert [(frame.index, frame.source) for frame in frames] == [(i, "clip") for i in range(5)]
        assert np.abs(frames[0].pixels.astype(int) - colour_pixels).mean() < 12
    with pytest.raises(UnreadableFile, match="video"):
        list(read_frames(video.read_bytes()[:300]))


def test_folders_are_walked_in_order(tmp_path: Path, video: Path, build_dicom, scan_pixels):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cine.dcm").write_bytes(build_dicom(np.stack([scan_pixels] * 2)))
    (tmp_path / "a.png").write_bytes(encoded(scan_pixels))
    (tmp_path / "notes.txt").write_text("no picture")
    names = [Path(frame.source).name for frame in read_frames(tmp_path)]
    assert names == ["a.png", "cine.dcm", "cine.dcm", *["clip.avi"] * 5]
    assert [path.name for path in list_files(tmp_path)] == ["a.png", "cine.dcm", "clip.avi"]


def test_a_broken_file_in_a_folder_can_be_passed_over(tmp_path: Path, scan_pixels):
    (tmp_path / "a.png").write_bytes(encoded(scan_pixels)[:60])
    (tmp_path / "b.png").write_bytes(encoded(scan_pixels))
    with pytest.raises(UnreadableFile, match=r"a\.png"):
        list(read_frames(tmp_path))
    errors: list[UnreadableFile] = []
    assert len(list(read_frames(tmp_path, on_error=errors.append))) == 1
    assert [Path(error.name).name for error in errors] == ["a.png"]


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UnreadableFile, match=r"gone\.png.*cannot be opened"):
        list(read_frames(tmp_path / "gone.png"))


def test_what_the_caller_knows_goes_first(build_dicom, build_region, scan_pixels):
    options = FrameOptions((0.3, 0.4), Laterality.LEFT, 7.0)
    frame = next(read_frames(encoded(scan_pixels), options))
    assert frame.regions == whole_frame(84, 60, (0.3, 0.4))
    assert (frame.spacing_source, frame.laterality, frame.age_years) == ("request", Laterality.LEFT, 7.0)
    file = build_dicom(scan_pixels, regions=[build_region(0, 0, 300, 50)], Laterality="R", PatientAge="030Y")
    frame = next(read_frames(file, options))
    assert frame.regions == (Region(0, 0, 83, 50, (0.3, 0.4)),)
    assert (frame.laterality, frame.age_years, frame.warnings) == (Laterality.LEFT, 7.0, ())
    kept = next(read_frames(file, FrameOptions()))
    assert (kept.laterality, kept.age_years, kept.spacing_source) == (Laterality.RIGHT, 30.0, None)


@pytest.mark.parametrize("spacing_mm", [(0.0, 0.1), (0.1, 9.0), (float("nan"), 0.1)])
def test_impossible_scales_are_refused(spacing_mm):
    with pytest.raises(ValueError, match="spacing"):
        FrameOptions(spacing_mm)


def test_a_picture_is_decoded_in_milliseconds():
    rng = np.random.default_rng(0)
    rgb = cv2.GaussianBlur(rng.integers(0, 255, (720, 960, 3), dtype=np.uint8), (0, 0), 3)
    data = encoded(rgb, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 90)
    times = []
    for _ in range(9):
        start = time.process_time()
        decode_picture(data)
        times.append(time.process_time() - start)
    assert min(times) < 0.05
