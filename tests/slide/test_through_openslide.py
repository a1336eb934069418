"""What only OpenSlide reads; and what is said where it is missing."""

from __future__ import annotations

import builtins
import contextlib
import io
import threading

import numpy as np
import pytest
import slide_writers as w
from PIL import Image

from napari_maskvit import open_slide
from napari_maskvit.errors import SlideError

PIXELS = w.picture(500, 700, seed=2)
TILE = 256


def jpeg(tile: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(tile).save(stream, "JPEG", quality=95, subsampling=0)
    return stream.getvalue()


def write_dicom(folder, pixels, spacing_um=0.5, cut=None):
    """A whole-slide DICOM series of two levels, as a scanner writes it."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.sequence import Sequence
    from pydicom.uid import JPEGBaseline8Bit, generate_uid

    series, frame_of_reference, study = generate_uid(), generate_uid(), generate_uid()
    folder.mkdir()
    for level in range(2):
        image = pixels if level == 0 else w.halve(pixels)
        rows, columns = (-(-side // TILE) for side in image.shape[:2])
        padded = np.full((rows * TILE, columns * TILE, 3), 255, np.uint8)
        padded[: image.shape[0], : image.shape[1]] = image
        frames = [
            jpeg(padded[r * TILE : (r + 1) * TILE, c * TILE : (c + 1) * TILE])
            for r in range(rows)
            for c in range(columns)
        ]
        if cut == level:
            frames[0] = b"\xff\xd8" + bytes(len(frames[0]) - 2)
        mm = spacing_um / 1000 * 2**level
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = JPEGBaseline8Bit
        data = Dataset()
        data.file_meta = meta
        data.SOPClassUID = meta.MediaStorageSOPClassUID
        data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.StudyInstanceUID = series, study
        data.FrameOfReferenceUID = frame_of_reference
        data.Modality = "SM"
        data.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE" if level == 0 else "RESAMPLED"]
        data.DimensionOrganizationType = "TILED_FULL"
        data.SamplesPerPixel, data.PlanarConfiguration = 3, 0
        data.PhotometricInterpretation = "YBR_FULL_422"
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit, data.PixelRepresentation = 7, 0
        data.Rows = data.Columns = TILE
        data.NumberOfFrames = len(frames)
        data.TotalPixelMatrixRows, data.TotalPixelMatrixColumns = image.shape[:2]
        data.TotalPixelMatrixFocalPlanes = data.NumberOfOpticalPaths = 1
        data.ImagedVolumeWidth = image.shape[1] * mm
        data.ImagedVolumeHeight = image.shape[0] * mm
        measures, groups = Dataset(), Dataset()
        measures.PixelSpacing = [mm, mm]
        groups.PixelMeasuresSequence = Sequence([measures])
        data.SharedFunctionalGroupsSequence = Sequence([groups])
        data.PixelData = encapsulate(frames)
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
        pydicom.dcmwrite(folder / f"{level}.dcm", data, enforce_file_format=True)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _needs_openslide():
    pytest.importorskip("openslide")


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    return write_dicom(tmp_path_factory.mktemp("dicom") / "series", PIXELS)


@pytest.mark.parametrize("which", ["", "0.dcm", "1.dcm"])
def test_dicom_by_any_file_of_it_or_its_folder(dicom, which):
    with open_slide(dicom / which) as slide:
        assert slide.format == "DICOM"
        assert slide.shape == (500, 700)
        assert slide.spacing == pytest.approx(0.5)
        assert slide.spacing_source == "openslide.mpp-x"
        assert slide.downsamples == (1, 2)
        region = slide.read(-20, -20, 760, 560)
        assert np.abs(region.pixels[20:520, 20:720].astype(int) - PIXELS).max() <= 8
        assert (region.pixels[:20] == 255).all()
        assert region.valid.all()
        assert slide.levels[1].compute().shape == (250, 350, 3)


def test_a_damaged_dicom_tile_is_background_and_the_rest_stays_readable(tmp_path):
    with open_slide(write_dicom(tmp_path / "series", PIXELS, cut=0)) as slide:
        region = slide.read(0, 0, 700, 500)
        assert not region.valid[:256, :256].any()
        assert region.valid[:, 256:].all()
        assert slide.undecodable == {(0, 0, 0)}


def test_closing_while_threads_read_does_not_crash(dicom):
    for _ in range(10):
        slide = open_slide(dicom / "0.dcm", cache_bytes=1)

        def work(slide=slide):
            with contextlib.suppress(SlideError):
                while True:
                    slide.read(0, 0, 700, 500)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        slide.close()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        assert not slide.undecodable


def test_a_cut_dicom_is_refused(tmp_path, dicom):
    path = tmp_path / "cut.dcm"
    path.write_bytes((dicom / "0.dcm").read_bytes()[:600])
    with pytest.raises(SlideError, match=r"cut\.dcm cannot be opened by OpenSlide"):
        open_slide(path)


@pytest.mark.parametrize("name", ["scan.mrxs", "scan.bif", "scan.vms"])
def test_no_slide_under_a_slides_ending(tmp_path, name):
    (tmp_path / name).write_text("nothing")
    with pytest.raises(SlideError, match=name):
        open_slide(tmp_path / name)


def test_without_openslide_the_message_says_how_to_get_it(dicom, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.split(".")[0] == "openslide":
            raise ImportError("No module named 'openslide'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(SlideError, match="pip install openslide-python openslide-bin"):
        open_slide(dicom / "0.dcm")
