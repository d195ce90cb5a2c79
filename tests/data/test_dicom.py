import io
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.encaps import encapsulate

from ich_jax.data.dicom import (
    MAX_FILE_BYTES,
    REQUIRED_TAGS,
    NotAxialCT,
    Slice,
    SliceError,
    read_slice,
    read_stored,
    require_picture,
)
from ich_jax.paper.windowing import AIR_HU
from ich_jax.plumbing.command import InputError
from tests.make import make_dicom

CORONAL, SAGITTAL, TILTED = (
    [1, 0, 0, 0, 0, -1],
    [0, 1, 0, 0, 0, -1],
    [1, 0, 0, 0, 0.866, -0.5],
)


def refusal(data: bytes) -> str:
    with pytest.raises(SliceError) as caught:
        read_slice(data, name="some.dcm")
    message = str(caught.value)
    assert message.startswith("some.dcm: ")
    assert "\n" not in message
    return message


def test_real_slices_have_the_hu_of_a_head(rsna_files):
    soft = []
    for path in rsna_files:
        ct = read_slice(path)
        assert ct.hu.shape == ct.original_shape == (512, 512)
        assert ct.hu.dtype == np.float32
        assert ct.image_id == path.stem
        assert ct.patient_id.startswith("ID_")
        assert ct.study_id.startswith("ID_")
        assert ct.series_id.startswith("ID_")
        assert -3024 <= ct.hu.min() <= -990  # padding or air
        assert 1000 < ct.hu.max() < 4096  # bone
        soft.append(np.mean((ct.hu > 0) & (ct.hu < 80)))
    assert 0.1 < np.median(soft) < 0.4  # water to muscle: what is inside a skull


def test_real_slice_known_values(rsna_sample):
    ct = read_slice(rsna_sample / "stage_2_train" / "ID_000aa2bce.dcm")  # the one with intercept 0
    assert (ct.hu.min(), ct.hu.max()) == (-3024, 1546)
    ct = read_slice((rsna_sample / "stage_2_train" / "ID_000a050f3.dcm").read_bytes())  # 12 bits, intercept −1024
    assert (ct.hu.min(), ct.hu.max()) == (4 - 1024, 2479 - 1024)


def test_no_word_on_the_terminal(rsna_files):
    code = "import absl.logging, sys; from ich_jax.data.dicom import read_slice; read_slice(sys.argv[1])"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code, rsna_files[0]], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize("shape", [(4, 6), (7, 4), (1, 5)])
def test_other_shapes_are_centred_in_air(shape):
    stored = np.full(shape, 1064, np.int16)
    ct = read_slice(make_dicom(stored))
    assert ct.original_shape == shape
    assert ct.hu.shape == (max(shape),) * 2
    assert np.sum(ct.hu == 40) == stored.size
    assert np.sum(ct.hu == AIR_HU) == ct.hu.size - stored.size


@pytest.mark.parametrize("tag", REQUIRED_TAGS)
def test_a_missing_tag_is_named(tag):
    assert f"has no {tag}" in refusal(make_dicom(drop=(tag,)))


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"Rows": 65535, "Columns": 65535}, "65535×65535"),
        ({"Rows": 0}, "0×"),
        ({"NumberOfFrames": "2", "RescaleSlope": ""}, "2 frames"),  # said before what else is wrong
        ({"NumberOfFrames": "0"}, "0 frames"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "grey"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "grey"),
        ({"BitsAllocated": 8, "BitsStored": 8}, "bits"),
        ({"BitsStored": 0}, "bits"),
        ({"PixelRepresentation": 7}, "bits"),
        ({"RescaleSlope": "0"}, "slope"),
        ({"RescaleSlope": "nan"}, "slope"),
        ({"RescaleIntercept": "1e300"}, "slope"),
        ({"RescaleSlope": ""}, "empty RescaleSlope"),
        ({"RescaleSlope": "1\\1"}, "2 values of RescaleSlope"),
        ({"Rows": [8, 8]}, "2 values of Rows"),
        ({"BitsStored": None}, "empty BitsStored"),
        ({"PhotometricInterpretation": None}, "empty PhotometricInterpretation"),
        ({"PixelData": b""}, "empty PixelData"),
        ({"TransferSyntaxUID": "1.2.840.10008.1.2.1.99"}, "deflated"),
        ({"TransferSyntaxUID": "1.2.3.4"}, "transfer syntax 1.2.3.4"),
        ({"TransferSyntaxUID": "1.2.840.10008.1.2.4.100", "PixelData": encapsulate([bytes(64)])}, "MPEG2"),
    ],
)
def test_what_is_not_one_ct_slice_is_refused(tags, word):
    assert word in refusal(make_dicom(**tags))


@pytest.mark.parametrize("text", [b"-10,4", b"many "])
def test_a_number_that_is_none(text):
    words = f"has a RescaleIntercept that is no decimal number: '{text.decode().strip()}'"
    assert words in refusal(make_dicom().replace(b"-1024", text))


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"Modality": "MR"}, "is MR, not CT"),
        ({"Modality": "PT", "NumberOfFrames": "3"}, "is PT, not CT"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"ImageType": "LOCALIZER"}, "localizer"),
        ({"RescaleType": "US"}, "values in US, not in HU"),
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}, "page of text"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"], "BitsAllocated": 8}, "page of text"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "RescaleSlope": None}, "secondary capture"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "RGB"),
        ({"ImageOrientationPatient": CORONAL}, "not axial"),
        ({"ImageOrientationPatient": SAGITTAL}, "not axial"),
    ],
)
def test_what_is_something_else_is_not_taken_for_an_axial_ct_slice(tags, word):
    with pytest.raises(NotAxialCT, match=word):
        read_slice(make_dicom(**tags))


@pytest.mark.parametrize(
    "tags",
    [
        {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"], "RescaleType": "HU"},
        {"Modality": "", "ImageType": None, "RescaleType": "", "NumberOfFrames": "1"},
        {"NumberOfFrames": ""},
        {"ImageOrientationPatient": TILTED},
        {"ImageOrientationPatient": "1\\0"},
        {"ImageOrientationPatient": "0\\0\\0\\0\\0\\0"},
    ],
)
def test_what_says_ct_or_nothing_is_read(tags):
    np.testing.assert_array_equal(read_slice(make_dicom(**tags)).hu, np.arange(64).reshape(8, 8) - 1024)


def test_no_identifier_is_needed():
    tags = ("SOPInstanceUID", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality")
    raw = read_stored(make_dicom(drop=tags))
    assert (raw.image_id, raw.patient_id, raw.study_id, raw.series_id) == ("", "", "", "")
    assert read_stored(make_dicom(PatientID="")).patient_id == ""
    assert read_stored(make_dicom(PatientID="a\x01b")).patient_id == "", "not to be written into a table"
    assert read_stored(make_dicom(PatientID="A\\B")).patient_id == "A\\B"
    assert read_stored(make_dicom(Modality="ct")).patient_id


@pytest.mark.parametrize(
    ("orientation", "position", "place"),
    [
        ("1\\0\\0\\0\\1\\0", "-125\\-125\\37.5", 37.5),
        ("-1\\0\\0\\0\\1\\0", "-125\\-125\\37.5", -37.5),
        (None, "-125\\-125\\37.5", None),
        ("1\\0\\0\\0\\1\\0", None, None),
        ("1\\0\\0\\0\\1\\0", "1\\2", None),
        ("1\\0\\0\\0\\1\\0", "nan\\0\\0", None),
    ],
)
def test_place_along_the_normal(orientation, position, place):
    raw = read_stored(make_dicom(ImageOrientationPatient=orientation, ImagePositionPatient=position))
    assert raw.along_normal == place


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("meta", [True, False])
def test_files_without_preamble_or_file_meta(explicit, meta):
    whole = make_dicom(explicit=explicit)
    bare = whole[132:] if meta else whole[whole.index(b"\x08\x00\x18\x00") :]
    np.testing.assert_array_equal(read_slice(bare).hu, read_slice(whole).hu)


@pytest.mark.parametrize("meta", [True, False])
def test_big_endian(meta):
    stored = np.array([[-1000, 7], [300, 2000]], np.int16)
    whole = make_dicom(stored, big_endian=True)
    np.testing.assert_array_equal(read_slice(whole).hu, stored - 1024.0)
    if not meta:
        bare = whole[whole.index(b"\x00\x08\x00\x18") :]
        np.testing.assert_array_equal(read_slice(bare).hu, stored - 1024.0)


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    with pytest.raises(SliceError, match="no regular file"):
        read_slice(tmp_path / "pipe.dcm")


def test_every_file_that_comes_with_pydicom():
    """A slice or a reason, in DICOM's words."""
    root = Path(pydicom.data.__file__).parent
    answers = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        try:
            answers[path.name] = read_slice(path).hu.shape
        except SliceError as error:
            answers[path.name] = error.reason
    reasons = "\n".join(answer for answer in answers.values() if isinstance(answer, str))
    assert not re.search("NoneType|MultiValue|object|attribute|Dataset|damaged", reasons)
    assert len(reasons.splitlines()) == sum(isinstance(answer, str) for answer in answers.values())
    assert answers["CT_small.dcm"] == (128, 128)
    assert answers["693_J2KI.dcm"] == (512, 512)
    assert answers["6293"] == "is a localizer, not an axial slice"
    assert answers["MR_small.dcm"] == answers["MR_small_bigendian.dcm"] == "is MR, not CT"
    assert answers["ExplVR_BigEndNoMeta.dcm"] == "is RTPLAN, not CT"
    assert answers["DICOMDIR-bigEnd"] == "is a DICOMDIR, a list of other files"
    assert answers["image_dfl.dcm"].startswith("is deflated")
    assert answers["IM00001D"] == "holds no image; it may be cut off"
    assert answers["6154"] == "is CR, not CT"
    ct = ("17106", "17136", "17166", "17196", "2062", "2392", "2693", "3023", "3353")
    assert {answers[name] for name in ct} == {(16, 16)}


@pytest.mark.parametrize("data", [b"", b"DICM", b"GIF89a" * 100, bytes(4000), b"\0" * 128 + b"DICM"])
def test_foreign_files_are_refused(data):
    refusal(data)


def test_pixel_data_cut_off(rsna_files):
    data = rsna_files[0].read_bytes()
    assert "cut off: 152710" in refusal(data[: len(data) - 524288 + 152_710])


def test_too_large_a_file_is_not_read_whole(tmp_path):
    path = tmp_path / "huge.dcm"
    with open(path, "wb") as file:
        file.truncate(100 * MAX_FILE_BYTES)  # sparse: takes no room
    with pytest.raises(SliceError, match=r"huge\.dcm: larger than 64 MiB"):
        read_slice(path)


def test_a_path_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "absent.dcm", tmp_path):
        with pytest.raises(SliceError, match="cannot be read") as caught:
            read_slice(path)
        assert str(path) in str(caught.value)
    assert issubclass(SliceError, InputError)


def test_nothing_is_left_changed_in_pydicom():
    before = pydicom.config.settings.reading_validation_mode
    read_stored(make_dicom())
    assert pydicom.config.settings.reading_validation_mode == before


def test_fuzz_2000_damaged_real_files(rsna_files):
    """Truncated and bit-flipped, header and pixels: a slice or a SliceError, never anything else."""
    rng = random.Random(0)
    originals = [path.read_bytes() for path in rsna_files]
    outcomes = {Slice: 0, SliceError: 0, NotAxialCT: 0}
    for case in range(2000):
        data = bytearray(rng.choice(originals))
        header = len(data) - 524288 + 16
        for _ in range(rng.choice([1, 1, 2, 8, 64])):
            place = rng.randrange(132, header if rng.random() < 0.9 else len(data))
            data[place] ^= 1 << rng.randrange(8)
        if case % 4 == 0:
            del data[rng.randrange(header if rng.random() < 0.5 else len(data)) :]
        try:
            result = read_slice(bytes(data))
        except SliceError as error:
            result = error
        outcomes[type(result)] += 1
        assert "\n" not in str(result) if isinstance(result, SliceError) else np.isfinite(result.hu).all()
    assert min(outcomes[Slice], outcomes[SliceError]) > 200, outcomes


def test_a_folder_named_like_a_slice_is_no_slice(tmp_path):
    os.mkdir(tmp_path / "ID_x.dcm")
    with pytest.raises(SliceError):
        read_slice(tmp_path / "ID_x.dcm")


def test_real_slices_hold_a_picture(rsna_files):
    for path in rsna_files:
        require_picture(read_stored(path), path.name)


@pytest.mark.parametrize(("signed", "bits"), [(True, 16), (False, 12), (True, 12)])
@pytest.mark.parametrize("start", [0, 333, 450])
def test_noise_is_refused(rsna_files, signed, bits, start):
    """As in RSNA's ID_b79eed528, where it begins at row 333."""
    noise = np.random.default_rng(0).integers(0, 2**bits, (512, 512), np.uint16)
    stored = np.tile(np.linspace(0, 2000, 512).astype(np.uint16), (512, 1))
    stored[start:] = noise[start:]
    stored = stored.view(np.int16 if signed else np.uint16)
    raw = read_stored(make_dicom(stored, BitsStored=bits, HighBit=bits - 1))
    with pytest.raises(SliceError, match=rf"x.dcm: noise .* row {-(-start // 8) * 8}$"):
        require_picture(raw, "x.dcm")


def test_a_constant_slice_is_refused():
    raw = read_stored(make_dicom(np.full((32, 32), 7, np.int16)))
    with pytest.raises(SliceError, match="constant: every pixel is 7"):
        require_picture(raw, "x.dcm")
    one_pixel_else = np.full((32, 32), 7, np.int16)
    one_pixel_else[5, 5] = 8
    require_picture(read_stored(make_dicom(one_pixel_else)), "x.dcm")


def test_values_that_no_ct_has_are_refused():
    stored = np.full((32, 32), 64536, np.uint16)  # −1000, taken for unsigned
    stored[:, :15] = 40
    with pytest.raises(NotAxialCT, match="half of it is above 60,000 HU"):
        require_picture(read_stored(make_dicom(stored, RescaleIntercept="0")), "x.dcm")
    stored[:, :17] = 40
    with pytest.raises(SliceError, match="above 60,000 HU: signed ones, though PixelRepresentation is 0"):
        require_picture(read_stored(make_dicom(stored, RescaleIntercept="0")), "x.dcm")
    stored[:, :31] = 40
    require_picture(read_stored(make_dicom(stored, RescaleIntercept="0")), "x.dcm")


@pytest.mark.parametrize("length", [132, 140, 300, 400])
def test_a_file_that_ends_within_its_header_is_refused(rsna_files, length):
    with pytest.raises(SliceError) as caught:
        read_slice(rsna_files[0].read_bytes()[:length])
    assert not isinstance(caught.value, NotAxialCT)


def test_another_modality_may_be_of_any_size(tmp_path):
    path = tmp_path / "cine.dcm"
    for tags, kind in (({"Modality": "US"}, NotAxialCT), ({}, SliceError)):
        path.write_bytes(make_dicom(**tags))
        with open(path, "r+b") as file:
            file.truncate(100 * MAX_FILE_BYTES)
        with pytest.raises(SliceError) as caught:
            read_slice(path)
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("mark", "title", "version"),
    [
        ("ICH_JAX_PHANTOM", "GENERATOR 2", "2"),
        ("ICH_JAX_PHANTOM", None, "1"),
        ("ICH_JAX_PHANTOM", "GENERATOR <b>", "1"),
        ("ANOTHER", "GENERATOR 2", ""),
    ],
)
def test_a_phantoms_file_tells_its_generator(tmp_path, mark, title, version):
    dataset = pydicom.dcmread(io.BytesIO(make_dicom()))
    dataset.file_meta.ImplementationVersionName = mark
    if title:
        dataset.file_meta.SourceApplicationEntityTitle = title
    dataset.save_as(tmp_path / "slice.dcm")
    raw = read_stored(tmp_path / "slice.dcm")
    assert (raw.generator, raw.synthetic) == (version, bool(version))
