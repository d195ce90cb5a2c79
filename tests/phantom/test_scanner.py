import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from ich_jax.data.dicom import read_slice, read_stored
from ich_jax.phantom.head import Head, fields
from ich_jax.phantom.render import render
from ich_jax.phantom.scanner import FORMATS, RARE_FORMATS, Identity, Scanner, scan, store, to_dicom

EVERY_FORMAT = [*FORMATS, *(fmt for fmt, _ in RARE_FORMATS)]
WHO = Identity("ID_00000000a", "ID_0000000b", "ID_000000000c", "ID_000000000d")
SIDE = 64


def picture():
    """(64, 64) HU of everything from air to bone, no two neighbours alike."""
    return np.linspace(-1000, 1000, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)


def circle():
    """Whether each pixel of `picture` is well within the scanner's circle."""
    place = np.arange(SIDE) - (SIDE - 1) / 2
    return np.hypot(place[:, None], place[None]) < SIDE / 2 - 1


def upright(seed=0, **settings):
    rng = np.random.default_rng(seed)
    head = replace(Head.draw(rng), rotation=0.0, tilt=0.0, lean=0.0, offset=(0.0, 0.0), skew=0.0, size=1.0)
    return head, replace(Scanner.draw(rng), **settings)


@pytest.mark.parametrize("fmt", EVERY_FORMAT)
def test_a_stored_number_is_the_hu_less_the_intercept(fmt):
    hu = np.full((8, 8), 40.4, np.float32)
    hu[4, 4] = -1000
    stored = store(hu, fmt)
    assert stored.dtype == (np.int16 if fmt.signed else np.uint16)
    assert stored[3, 3] == 40 - float(fmt.intercept)
    assert stored[4, 4] == (3096 if fmt.wraps_around else -1000 - float(fmt.intercept))


def test_values_below_zero_wrap_around_in_the_faulty_format_only():
    hu = np.array([[-1000, -1], [0, 3071]], np.float32)
    for fmt in EVERY_FORMAT:
        expected = [[3096, 4095], [0, 3071]] if fmt.wraps_around else hu - float(fmt.intercept)
        if fmt.bits == 16:
            np.testing.assert_array_equal(store(hu, replace(fmt, padding=None)), expected)
        else:
            low, high = (-2048, 2047) if fmt.signed else (0, 4095)
            np.testing.assert_array_equal(store(hu, fmt), np.clip(expected, low, high))


@pytest.mark.parametrize("fmt", [fmt for fmt in EVERY_FORMAT if fmt.padding is not None])
def test_padding_is_outside_the_scanners_circle(fmt):
    stored = store(np.full((SIDE, SIDE), 40, np.float32), fmt)
    inside = 40 - float(fmt.intercept)
    assert set(stored[[0, 0, -1, -1], [0, -1, 0, -1]]) == {fmt.padding}
    assert set(stored[[1, SIDE // 2, -2, SIDE // 2], [SIDE // 2, 1, SIDE // 2, -2]]) == {inside}
    assert (stored[circle()] == inside).all()
    assert np.mean(stored == fmt.padding) == pytest.approx(1 - np.pi / 4, abs=0.02)


@pytest.mark.parametrize("fmt", EVERY_FORMAT)
def test_our_reader_gets_the_hu_back(fmt):
    data = to_dicom(store(picture(), fmt), fmt, WHO, 0.5, (-16.0, -16.0, 12.5), 0.1)
    hu = read_slice(data).hu
    np.testing.assert_allclose(hu[circle()], picture()[circle()], rtol=0, atol=0.501)
    raw = read_stored(data)
    assert (raw.image_id, raw.patient_id, raw.study_id, raw.series_id) == tuple(vars(WHO).values())
    assert raw.synthetic


@pytest.mark.parametrize("fmt", EVERY_FORMAT)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_the_header_says_how_to_read_the_numbers(fmt):
    header = pydicom.dcmread(io.BytesIO(to_dicom(store(picture(), fmt), fmt, WHO, 0.5, (-16.0, -15.0, 12.5), 0.1)))
    assert header.PhotometricInterpretation == "MONOCHROME2"
    assert (header.BitsAllocated, header.BitsStored, header.HighBit) == (16, fmt.bits, fmt.bits - 1)
    assert header.PixelRepresentation == fmt.signed
    assert (header.RescaleSlope, header.RescaleIntercept) == (1, float(fmt.intercept))
    assert (header.Rows, header.Columns) == (SIDE, SIDE)
    assert header.PixelSpacing == [0.5, 0.5]
    assert header.ImagePositionPatient == [-16, -15, 12.5]
    right, down = np.array(header.ImageOrientationPatient).reshape(2, 3)
    assert right.tolist() == [1, 0, 0]
    np.testing.assert_allclose(np.abs(down), [0, np.cos(0.1), np.sin(0.1)], atol=1e-6)
    assert header.file_meta.TransferSyntaxUID.is_implicit_VR != fmt.explicit


def test_two_scans_of_a_head_differ_by_the_scanners_noise():
    for seed in range(3):
        head, scanner = upright(seed)
        first, second = (scan(head, [], scanner, 34.0, 5.0, np.random.default_rng(k))[0] for k in (1, 2))
        f = fields(head, *[(np.arange(512) - 255.5) * scanner.spacing_mm] * 2, 34.0, 5.0)
        difference = (first - second)[f.vault < -10]
        assert difference.size > 10_000
        assert abs(difference.mean()) < 0.3
        assert difference.std() / 2**0.5 == pytest.approx(scanner.noise_hu, rel=0.1)


@pytest.mark.parametrize("rest", ["cradle", "bed", "sides", "cup", "pillow"])
def test_the_headrest_shows_beside_or_below_the_head(rest):
    head, scanner = upright(rest=rest, spacing_mm=0.488281)
    hu, _ = scan(head, [], scanner, 20.0, 5.0, np.random.default_rng(0))
    line = (np.arange(512) - 255.5) * 0.488281
    away = fields(head, line, line, 20.0, 5.0).vault > head.skull_mm + head.scalp_mm + 5
    rows, columns = np.nonzero(away & (hu > -900))  # foam, or a thin shell, blurred
    assert len(rows) > 200
    assert line[rows].min() > -10
    if rest == "sides":
        assert (np.abs(np.abs(line[columns]) - 98) < 4).all()


def test_an_odd_shape_shows_the_same_head():
    head, scanner = upright(spacing_mm=0.46875)
    usual, _ = scan(head, [], scanner, 30.0, 5.0, np.random.default_rng(0))
    for shape in ((638, 490), (768, 768)):
        hu, _ = scan(head, [], scanner, 30.0, 5.0, np.random.default_rng(0), shape)
        assert hu.shape == shape
        spacing = 0.46875 * 512 / max(shape)
        areas = [np.count_nonzero(one > 300) * step**2 for one, step in ((usual, 0.46875), (hu, spacing))]
        assert areas[1] == pytest.approx(areas[0], rel=0.03)


def test_a_slice_through_the_tip_of_the_cavity_is_no_error():
    """Somewhere below the crown a slice cuts only a pixel or two of what is inside the skull."""
    head, _ = upright()
    line = np.arange(-60, 60, 0.46875)

    def rows(height):
        return (fields(head, line, line, height, 5.0).cavity < 1.5).any(axis=1).sum()

    below, above = head.height - 5, head.height + 10
    assert rows(below) > 2
    assert rows(above) == 0
    while not 0 < rows(height := (below + above) / 2) <= 2:
        below, above = (height, above) if rows(height) else (below, height)
    hu, areas = render(fields(head, line, line, height, 5.0), [], 0.2)
    assert hu.max() > 1000
    assert areas == {}
