import numpy as np
import pytest

from ich_jax.data.dicom import read_slice
from ich_jax.data.hounsfield import first_wrapped, repair_wraparound
from ich_jax.paper.windowing import AIR_HU
from tests.make import make_dicom

RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4)
TWELVE = {"BitsStored": 12, "HighBit": 11}


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
    data = make_dicom(RAMP | 0xF000, **TWELVE)
    np.testing.assert_array_equal(read_slice(data).hu, RAMP - 1024.0)


@pytest.mark.parametrize("intercept", ["0", "1"])
def test_wraparound_is_repaired_where_it_is_seen(intercept):
    truth = np.array([[-1000, -1], [0, 3095]])
    stored = (truth % 4096).astype(np.uint16)
    data = make_dicom(stored, RescaleIntercept=intercept, **TWELVE)
    np.testing.assert_array_equal(read_slice(data).hu, truth)
    np.testing.assert_array_equal(read_slice(data, repair=False).hu, stored + float(intercept))


@pytest.mark.parametrize("lowest", [-1000, -1024])
def test_a_real_slice_that_lost_its_sign_gets_it_back(rsna_files, lowest):
    for path in rsna_files[:10]:
        hu = np.clip(read_slice(path).hu, lowest, 3071)
        stored = (hu.astype(np.int32) % 4096).astype(np.uint16)
        np.testing.assert_array_equal(read_slice(make_dicom(stored, RescaleIntercept="0", **TWELVE)).hu, hu)


@pytest.mark.parametrize(
    "tags",
    [
        {"RescaleIntercept": "-100"},
        {"RescaleIntercept": "-100", "RescaleSlope": "2"},
        {"RescaleIntercept": "0", "RescaleSlope": "2"},
        {"RescaleIntercept": "0", "BitsStored": 16, "HighBit": 15},
        {"RescaleIntercept": "-1024"},
    ],
)
def test_other_slices_are_not_repaired(tags):
    stored = np.array([[40, 3096], [3096, 0]], np.uint16)
    hu = stored * float(tags.get("RescaleSlope", 1)) + float(tags["RescaleIntercept"])
    np.testing.assert_array_equal(read_slice(make_dicom(stored, **TWELVE | tags)).hu, hu)


def test_metal_stays_metal():
    stored = np.full((64, 64), 40, np.uint16)
    stored[:20] = 0  # air, cut off at 0
    stored[30:40, 30:40] = 3600
    stored[32:34, 30:40] = 3071
    ct = read_slice(make_dicom(stored, RescaleIntercept="0", **TWELVE))
    np.testing.assert_array_equal(ct.hu, stored)
    stored[:20] = 4096 - 1000  # air that wrapped: then 3600 is −496
    ct = read_slice(make_dicom(stored, RescaleIntercept="0", **TWELVE))
    assert (ct.hu[0, 0], ct.hu[31, 31], ct.hu[50, 50]) == (-1000, -496, 40)


def test_where_air_wraps_to():
    picture = np.full(1000, 40, np.uint16)
    picture[:50] = 3096 + 0xF000  # bits above those stored say nothing
    assert first_wrapped(picture) == 3096
    picture[50:150] = 3080
    assert first_wrapped(picture) == 3096
    picture[150] = 3072
    assert first_wrapped(picture) == 3072
    picture[:151] = 40
    picture[:49] = 3096
    assert first_wrapped(picture) is None


@pytest.mark.parametrize(
    ("dtype", "bits", "padding", "tags"),
    [
        (np.uint16, 12, 4095, {"PixelPaddingValue": 4095}),
        (np.uint16, 12, 65535, {"PixelPaddingValue": 65535}),
        (np.uint16, 16, 63536, {"PixelPaddingValue": 63536}),
        (np.int16, 12, -3024, {"PixelPaddingValue": -3024}),
        (np.int16, 16, -2000, {"PixelPaddingValue": -2000}),
        (np.int16, 16, -2000, {"PixelPaddingValue": -3000, "PixelPaddingRangeLimit": -1500}),
        (np.int16, 16, -2000, {"PixelPaddingValue": -1500, "PixelPaddingRangeLimit": -3000}),
        (np.uint16, 16, 63000, {"PixelPaddingValue": 62000, "PixelPaddingRangeLimit": 65535}),
    ],
)
@pytest.mark.parametrize("explicit", [True, False])
def test_padding_is_air(dtype, bits, padding, tags, explicit):
    stored = np.array([[padding, 1064], [1000, padding]]).astype(dtype)
    data = make_dicom(stored, explicit=explicit, BitsStored=bits, HighBit=bits - 1, **tags)
    np.testing.assert_array_equal(read_slice(data).hu, [[AIR_HU, 40], [-24, AIR_HU]])


def test_padding_in_the_wrong_type_means_its_bits():
    stored = np.array([[-2000, 1064]], np.int16)
    data = make_dicom(stored, PixelPaddingValue=-2000)
    as_unsigned = data.replace(b"\x28\x00\x20\x01SS", b"\x28\x00\x20\x01US")
    assert as_unsigned != data
    np.testing.assert_array_equal(read_slice(as_unsigned).hu[0], [AIR_HU, 40])


def test_a_limit_alone_pads_nothing():
    stored = np.array([[7, 8]], np.int16)
    assert read_slice(make_dicom(stored, PixelPaddingRangeLimit=7)).hu[0, 0] == 7 - 1024


def test_repair_undoes_a_wraparound_for_every_hu():
    truth = np.arange(-1000, 3096)
    np.testing.assert_array_equal(repair_wraparound(truth % 4096), truth)


@pytest.mark.parametrize(("dtype", "bits", "top"), [(np.uint16, 12, 4095), (np.uint16, 16, 65535), (np.int16, 16, -1)])
def test_monochrome1_is_inverted(dtype, bits, top):
    stored = np.array([[0, 5], [9, 100]], dtype)
    data = make_dicom(stored, PhotometricInterpretation="MONOCHROME1", BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_array_equal(read_slice(data).hu, top - stored.astype(np.float32) - 1024)
