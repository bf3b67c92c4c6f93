"""The annotated frame as Secondary Capture: for whoever shows pictures and nothing else."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import MultiFrameTrueColorSecondaryCaptureImageStorage, SecondaryCaptureImageStorage

from serving.dicom_out.codes import SOURCE_FOR_PROCESSING
from serving.dicom_out.origin import Kind, Making, begin, reference, take_over_compression

ONE: Final = Kind(SecondaryCaptureImageStorage, "US", 9103, "Hip overlay")
SEVERAL: Final = Kind(MultiFrameTrueColorSecondaryCaptureImageStorage, "US", 9103, "Hip overlay")
_FRAME_TIME_MS: Final = 500


def build_capture(
    origin: Dataset, pictures: Sequence[NDArray[np.uint8]], frames: Sequence[int], making: Making
) -> FileDataset:
    """Annotated RGB pictures (H, W, 3) of frames of an instance (indices from 0), given its header (`conform`).

    Raises ValueError without a picture, or for pictures of different sizes.
    """
    if not pictures or any(picture.shape != pictures[0].shape for picture in pictures):
        raise ValueError("a capture holds one picture or more, all of one size")
    kind = ONE if len(pictures) == 1 else SEVERAL
    result = begin(origin, kind, making)
    result.ConversionType = "WSD"
    result.ImageType = ["DERIVED", "SECONDARY"]
    result.PatientOrientation = ""
    result.Laterality = origin.get("ImageLaterality") or origin.get("Laterality") or ""
    result.BurnedInAnnotation = origin.get("BurnedInAnnotation", "YES")
    take_over_compression(result, origin)
    source = reference(origin, tuple(index + 1 for index in frames))
    source.PurposeOfReferenceCodeSequence = [SOURCE_FOR_PROCESSING.item()]
    result.SourceImageSequence = [source]
    result.Rows, result.Columns = pictures[0].shape[:2]
    result.SamplesPerPixel, result.PhotometricInterpretation, result.PlanarConfiguration = 3, "RGB", 0
    result.BitsAllocated, result.BitsStored, result.HighBit, result.PixelRepresentation = 8, 8, 7, 0
    if kind is SEVERAL:
        result.NumberOfFrames, result.FrameTime = len(pictures), _FRAME_TIME_MS
        result.FrameIncrementPointer = 0x00181063
    data = b"".join(np.ascontiguousarray(picture).tobytes() for picture in pictures)
    result.PixelData = data + b"\0" * (len(data) % 2)
    result["PixelData"].VR = "OB"
    return result
