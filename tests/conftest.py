"""What the tests share. The real slices come from the folder that ICH_JAX_RSNA_SAMPLE names; without it their tests
are skipped and say so (continuous integration always sets it)."""

import os
from pathlib import Path

import pytest

from tests.make import make_prepared


@pytest.fixture(scope="session")
def rsna_sample() -> Path:
    name = os.environ.get("ICH_JAX_RSNA_SAMPLE")
    if not name:
        pytest.skip("needs real RSNA slices: set ICH_JAX_RSNA_SAMPLE to a folder in Kaggle's layout")
    folder = Path(name)
    assert list(folder.glob("stage_2_train/*.dcm")), f"ICH_JAX_RSNA_SAMPLE={name} holds no slices"
    return folder


@pytest.fixture(scope="session")
def rsna_files(rsna_sample) -> list[Path]:
    return sorted(rsna_sample.glob("stage_2_train/*.dcm"))


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """A prepared folder of 96 random 32×32 images, 24 patients, six classes told apart by colour."""
    return make_prepared(tmp_path_factory.mktemp("toy") / "toy")
