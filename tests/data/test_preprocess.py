import numpy as np
import pytest
from PIL import Image

from ich_jax.data.dicom import read_slice, read_stored
from ich_jax.data.preprocess import slice_to_image
from ich_jax.paper.windowing import hu_to_rgb
from tests.make import make_dicom


def plainly(source, size, repair=True):
    """Windows in float arithmetic at full size, then resize: what the table has to equal."""
    rgb = Image.fromarray(hu_to_rgb(read_slice(source, repair=repair).hu))
    return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size", [224, 64])
def test_equals_the_plain_way_on_real_slices(rsna_files, size):
    for path in rsna_files:
        np.testing.assert_array_equal(slice_to_image(read_stored(path), size), plainly(path, size))


@pytest.mark.parametrize("shape", [(48, 48), (40, 70), (130, 64)])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
@pytest.mark.parametrize(("bits", "intercept"), [(16, "-1024"), (12, "0"), (12, "-1000")])
@pytest.mark.parametrize("repair", [True, False])
def test_equals_the_plain_way_on_odd_slices(shape, dtype, bits, intercept, repair):
    stored = np.random.default_rng(0).integers(0, 2**11, shape, dtype)
    data = make_dicom(stored, BitsStored=bits, HighBit=bits - 1, RescaleIntercept=intercept)
    image = slice_to_image(read_stored(data), 32, repair)
    assert (image.shape, image.dtype) == ((32, 32, 3), np.uint8)
    np.testing.assert_array_equal(image, plainly(data, 32, repair))
