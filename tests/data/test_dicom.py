import os
import random
import subprocess
import sys

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from ich_jax.data.dicom import (
    MAX_FILE_BYTES,
    REQUIRED_TAGS,
    Encoding,
    Slice,
    SliceError,
    read_slice,
    read_stored,
    repair_wraparound,
    require_picture,
)
from ich_jax.paper.windowing import AIR_HU
from ich_jax.plumbing.command import InputError
from tests.make import make_dicom

RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4)


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


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("intercept", ["-1024", "-1024.0", "-1024.000000", "-1000", "0", "1"])
def test_slope_and_intercept_are_applied(explicit, dtype, bits, intercept):
    stored = np.array([[0, 1], [1000, 2047]], dtype)
    if dtype == np.int16:
        stored[0, 0] = -2048 if bits == 12 else -2000
    data = make_dicom(
        stored, explicit=explicit, BitsStored=bits, HighBit=bits - 1, RescaleIntercept=intercept, RescaleSlope="2"
    )
    ct = read_slice(data, repair=False)
    np.testing.assert_array_equal(ct.hu, 2 * stored.astype(np.float32) + float(intercept))


def test_bits_above_those_stored_are_ignored():
    data = make_dicom(RAMP | 0xF000, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_slice(data).hu, RAMP - 1024.0)


@pytest.mark.parametrize("intercept", ["0", "1", "-100"])
def test_wraparound_is_repaired_where_it_is_known(intercept):
    truth = np.array([[-1000, -1], [0, 3095]])
    stored = (truth % 4096).astype(np.uint16)
    data = make_dicom(stored, BitsStored=12, HighBit=11, RescaleIntercept=intercept)
    np.testing.assert_array_equal(read_slice(data).hu, truth)
    np.testing.assert_array_equal(read_slice(data, repair=False).hu, stored + float(intercept))


@pytest.mark.parametrize(("signed", "bits", "intercept"), [(True, 12, 0), (False, 16, 0), (False, 12, -101)])
def test_other_slices_are_not_repaired(signed, bits, intercept):
    assert not Encoding(signed, bits, 1.0, intercept, False).wraps_around


def test_repair_undoes_a_wraparound_for_every_hu():
    truth = np.arange(-1000, 3096)
    np.testing.assert_array_equal(repair_wraparound(truth % 4096), truth)


@pytest.mark.parametrize("shape", [(4, 6), (7, 4), (1, 5)])
def test_other_shapes_are_centred_in_air(shape):
    stored = np.full(shape, 1064, np.int16)
    ct = read_slice(make_dicom(stored))
    assert ct.original_shape == shape
    assert ct.hu.shape == (max(shape),) * 2
    assert np.sum(ct.hu == 40) == stored.size
    assert np.sum(ct.hu == AIR_HU) == ct.hu.size - stored.size


@pytest.mark.parametrize(("dtype", "bits", "top"), [(np.uint16, 12, 4095), (np.uint16, 16, 65535), (np.int16, 16, -1)])
def test_monochrome1_is_inverted(dtype, bits, top):
    stored = np.array([[0, 5], [9, 100]], dtype)
    data = make_dicom(stored, PhotometricInterpretation="MONOCHROME1", BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_array_equal(read_slice(data).hu, top - stored.astype(np.float32) - 1024)


@pytest.mark.parametrize("tag", REQUIRED_TAGS)
def test_a_missing_tag_is_named(tag):
    assert f"has no {tag}" in refusal(make_dicom(drop=(tag,)))


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"Rows": 65535, "Columns": 65535}, "65535×65535"),
        ({"Rows": 0}, "0×"),
        ({"NumberOfFrames": "2"}, "2 frames"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "grey"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "grey"),
        ({"BitsAllocated": 8, "BitsStored": 8}, "bits"),
        ({"BitsStored": 0}, "bits"),
        ({"PixelRepresentation": 7}, "bits"),
        ({"RescaleSlope": "0"}, "slope"),
        ({"RescaleSlope": "nan"}, "slope"),
        ({"RescaleIntercept": "1e300"}, "slope"),
        ({"SOPInstanceUID": ""}, "SOPInstanceUID"),
        ({"PatientID": "a\x01b"}, "PatientID"),
        ({"TransferSyntaxUID": "1.2.840.10008.1.2.4.80", "PixelData": encapsulate([bytes(64)])}, "JPEG-LS"),
        ({"TransferSyntaxUID": "1.2.840.10008.1.2.1.99"}, "deflated"),
        ({"TransferSyntaxUID": "1.2.3.4"}, "damaged"),
    ],
)
def test_what_is_not_one_ct_slice_is_refused(tags, word):
    assert word in refusal(make_dicom(**tags))


def test_a_number_that_is_none():
    assert "damaged" in refusal(make_dicom().replace(b"-1024", b"many "))


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
    outcomes = {Slice: 0, SliceError: 0}
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
        assert "\n" not in str(result) if type(result) is SliceError else np.isfinite(result.hu).all()
    assert min(outcomes.values()) > 200, outcomes


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
