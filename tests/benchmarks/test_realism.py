"""Heads made of discs, whose every measure is known; then a tiny phantom beside real slices."""

import json
import math
import shutil
import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from benchmarks import head_measures, realism
from benchmarks.head_measures import measure
from ich_jax.data.header import PHANTOM_MARK
from ich_jax.phantom.dataset import make_phantom
from ich_jax.plumbing.command import InputError, run_command

MM, SIDE = 0.5, 400
BRAIN, SKULL, SKIN = 60, 68, 76  # radii in mm
V, U = np.mgrid[:SIDE, :SIDE] * MM - (SIDE - 1) / 2 * MM


def head(blur_mm: float = 0.8, radius: np.ndarray | None = None) -> np.ndarray:
    """HU of a round head: brain 30, bone 1000, scalp 0, air around it, each edge blurred."""
    radius = np.hypot(U, V) if radius is None else radius
    steps = ((SKIN, 1000), (SKULL, 1000), (BRAIN, -970))
    return -1000 + sum(height * ndtr((edge - radius) / blur_mm) for edge, height in steps)


def tilted(degrees: float, longer: float = 1.25, right_mm: float = 0, down_mm: float = 0) -> np.ndarray:
    """Radii that make the round head an oval one, its upper end turned clockwise."""
    turn = math.radians(degrees)
    x, y = U - right_mm, V - down_mm
    along, across = -math.sin(turn) * x + math.cos(turn) * y, math.cos(turn) * x + math.sin(turn) * y
    return np.hypot(across, along / longer)


@pytest.mark.parametrize("blur_mm", [0.5, 0.8, 1.2])
def test_edges_are_as_wide_as_they_were_blurred(blur_mm):
    found = measure(head(blur_mm), MM)
    ten_to_ninety = 2 * 1.2816 * blur_mm  # of a normal distribution
    assert found["inner_edge"] == pytest.approx(ten_to_ninety, abs=0.15)
    assert found["skin_edge"] == pytest.approx(ten_to_ninety, abs=0.15)
    assert found["bone_hu"] == pytest.approx(1000, abs=15)
    # The blurred bone falls to 300 HU 0.59 deviations further in and 0.52 further out, the skin to −300 HU 0.52 in.
    assert found["skull"] == pytest.approx(SKULL - BRAIN + 1.11 * blur_mm, abs=0.25)
    assert found["scalp"] == pytest.approx(SKIN - SKULL - 1.04 * blur_mm, abs=0.25)
    before, after = found["profile"][np.searchsorted(head_measures.PROFILE_MM, (-0.15, 0.15))]
    assert before < head_measures.BONE_HU < after


def test_noise_of_known_strength_and_colour():
    rng = np.random.default_rng(0)
    white = rng.standard_normal((SIDE, SIDE))
    found = measure(head() + 4 * white, MM)
    assert found["noise"] == pytest.approx(4, rel=0.05)
    np.testing.assert_allclose(found["spectrum"].mean(), 4**2 * MM**2, rtol=0.1)
    frequencies = np.fft.fftfreq(32, MM)
    assert found["frequency"] == pytest.approx(np.hypot(frequencies[:, None], frequencies).mean(), rel=0.03)
    soft = gaussian_filter(white, 0.5 / MM)
    coarse = measure(head() + 4 * soft / soft.std(), MM)
    assert coarse["noise"] == pytest.approx(4, rel=0.1)
    assert coarse["spectrum"][0] > 20 * coarse["spectrum"][-1]
    by_theory = 1 / (4 * math.sqrt(math.pi) * 0.5)  # the mean of f under exp(−4π²σ²f²) in the plane
    assert by_theory < coarse["frequency"] < 1.25 * by_theory  # without its lowest part


def test_a_slope_in_the_brain_is_no_noise():
    assert measure(head() + 0.05 * U + 0.001 * V**2, MM)["noise"] < 0.01


@pytest.mark.parametrize("degrees", [-25, 0, 7, 40])
def test_pose(degrees):
    found = measure(head(radius=tilted(degrees, right_mm=6, down_mm=-9) * 1.3), MM)
    assert found["rotation"] == pytest.approx(degrees, abs=0.5)
    assert (found["right"], found["down"]) == pytest.approx((6, -9), abs=0.6)
    turn = math.radians(degrees)
    width = 2 * SKIN / 1.3 * math.hypot(math.cos(turn), 1.25 * math.sin(turn))
    length = 2 * SKIN / 1.3 * math.hypot(math.sin(turn), 1.25 * math.cos(turn))
    assert (found["width"], found["length"]) == pytest.approx((width / SIDE / MM, length / SIDE / MM), abs=0.01)


def test_a_round_head_has_no_direction_and_a_table_is_no_head():
    table = np.where(np.abs(np.hypot(U, V) - 90) < 1.5, 200, head())
    found, alone = measure(table, MM), measure(head(), MM)
    assert "rotation" not in found
    assert {name: found[name] for name in ("width", "length", "right", "down")} == pytest.approx(
        {name: alone[name] for name in ("width", "length", "right", "down")}
    )


def test_hu_of_the_brain():
    hu = head()
    hu[(np.hypot(U - 20, V) < 15)] = 55
    hu[(np.hypot(U + 20, V) < 15)] = 70
    found = measure(hu, MM)
    share = 100 * 15**2 / (BRAIN - 3.4) ** 2  # the bone's 300 HU begin 0.4 mm further in
    assert (found["above_50"], found["above_60"]) == pytest.approx((2 * share, share), rel=0.03)
    assert found["brain_hu"] == pytest.approx(30, abs=0.1)
    assert found["histogram"].sum() == pytest.approx(1)
    inner = found["histogram"][1:-1]
    assert inner[np.searchsorted(head_measures.HU, 70, "right") - 1] == pytest.approx(share / 100, rel=0.03)


def test_brighter_under_the_skull():
    radius = np.hypot(U, V)
    assert measure(head(), MM)["rim"] == pytest.approx(0, abs=0.2)
    cupped = head() + 9 * ((radius > BRAIN - 7) & (radius < BRAIN))
    assert measure(cupped, MM)["rim"] == pytest.approx(9, abs=0.2)


def test_what_is_not_there_is_not_measured():
    assert measure(np.full((SIDE, SIDE), -1000.0), MM) == {}
    neck = np.where(np.hypot(U, V) < 60, 40.0, -1000.0)
    assert set(measure(neck, MM)) == {"width", "length", "right", "down"}
    neck[np.hypot(U, V) < 12] = 900
    neck[np.hypot(U, V) < 7] = 30  # the spinal canal is enclosed, and too small for a brain
    assert "brain_hu" not in measure(neck, MM)


def test_overlap():
    same, other = np.arange(100.0), np.arange(100.0) + 1000
    assert realism.overlap(same, same) == 1
    assert realism.overlap(same, other) == 0
    assert realism.overlap(same, same + 50) == pytest.approx(0.5, abs=0.01)
    assert realism.overlap(same, same[:0]) is None
    assert realism.band(same) == pytest.approx([49.5, 9.9, 89.1])


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "phantom"
    make_phantom(folder, 22, seed=3)
    return folder


@pytest.fixture
def unmarked(phantom, tmp_path):
    """What passes for real slices."""
    folder = tmp_path / "unmarked"
    folder.mkdir()
    for path in phantom.glob("stage_2_train/*.dcm"):
        data = path.read_bytes().replace(PHANTOM_MARK.encode(), b"A_SCANNER_1.0".ljust(len(PHANTOM_MARK)))
        (folder / path.name).write_bytes(data)
    return folder


def test_a_folder_is_like_itself(phantom, unmarked, tmp_path, capsys):
    (unmarked / "broken.dcm").write_bytes(b"no slice")
    picture, results = tmp_path / "panels.png", tmp_path / "json"
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        options = ["--per-patient", "5", "--picture", str(picture), "--json", str(results)]
        result = realism.main([str(phantom), str(unmarked), *options])
    assert result["histogram_overlap"] == pytest.approx(1)
    assert {row["overlap"] for row in (result[name] for name in realism.QUANTITIES)} == {1.0}
    assert result["slices"]["phantom"]["measured"] == result["slices"]["real"]["measured"] == 5
    printed = capsys.readouterr().out
    assert "real: 5 of 23 slices (1 patients) measured" in printed
    assert "1 not a DICOM file" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    (saved,) = results.glob("*.json")
    assert json.loads(saved.read_text(encoding="utf-8"))["realism"] == result


def test_few_slices_of_each_patient(phantom, unmarked, capsys):
    result = realism.main([str(phantom), str(unmarked), "--slices", "15"])
    assert result["slices"]["real"] == result["slices"]["phantom"] | {"found": 22}
    assert result["slices"]["real"]["measured"] == 3
    printed = capsys.readouterr().out
    assert "12 more of the same patient" in printed
    brains = result["slices"]["real"]["brain"]
    assert f"would reach about {max(1 - 0.8687 * (2 / brains) ** 0.5, 0):.2f}" in printed


def test_beside_real_slices(phantom, rsna_sample):
    result = realism.main([str(phantom), str(rsna_sample), "--slices", "12", "--per-patient", "12"])
    assert result["slices"]["real"]["brain"] >= 6
    for name in realism.QUANTITIES:
        assert len(result[name]["real"]) == 3, name
        assert 0 <= result[name]["overlap"] <= 1
    assert 20 < result["brain_hu"]["real"][0] < 40
    assert 1 < result["noise"]["real"][0] < 8
    assert 1 < result["inner_edge"]["real"][0] < 4


def test_bad_folders_are_one_line(phantom, unmarked, tmp_path, capsys):
    with pytest.raises(InputError, match="is a phantom, but the second folder must hold real slices"):
        realism.main([str(phantom), str(phantom)])
    with pytest.raises(InputError, match="is no phantom"):
        realism.main([str(unmarked), str(phantom)])
    with pytest.raises(InputError, match="no folder"):
        realism.main([str(tmp_path / "nowhere"), str(unmarked)])
    shutil.rmtree(unmarked)
    unmarked.mkdir()
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        run_command(lambda: realism.main([str(phantom), str(unmarked)]))
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        realism.main([str(phantom), str(phantom), "--slices", "0"])
