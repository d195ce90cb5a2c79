"""`python -m ich_jax.view` from outside, and its page of real and of synthetic slices in a browser."""

import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from ich_jax import predict, train, view
from ich_jax.data.dicom import pad_to_square, read_stored
from ich_jax.data.find import find_slices, read_member
from ich_jax.data.preprocess import slice_to_image
from ich_jax.paper.windowing import AIR_HU, hu_to_rgb
from ich_jax.phantom.dataset import make_phantom
from ich_jax.plumbing.command import InputError
from ich_jax.results import viewing
from ich_jax.training.series import by_series, place_of
from tests.make import make_dicom, make_zip
from tests.show.in_browser import Case, pictures

AXIAL = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}


def ramp(start: int = 900, shape: tuple[int, int] = (24, 20)) -> np.ndarray:
    return (start + np.arange(np.prod(shape)) % 300).reshape(shape).astype(np.int16)


def data_of(page: Path) -> dict:
    (found,) = re.findall(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"))
    return json.loads(found)


def packed_in(page: Path) -> dict[str, bytes]:
    found = re.findall(r'<script type="text/plain" id="([\w-]+)">(.*?)</script>', page.read_text(encoding="utf-8"))
    return {name: zlib.decompress(base64.b64decode(text)) for name, text in found}


def stored_in(page: Path, index: int) -> np.ndarray:
    one = data_of(page)["slices"][index]
    low, high = np.frombuffer(packed_in(page)[f"pixels-{index}"], np.uint8).reshape(2, one["rows"], one["columns"])
    folded = low.astype(np.int32) | high.astype(np.int32) << 8
    dtype = np.int16 if one["encoding"]["signed"] else np.uint16
    return np.cumsum((folded >> 1) ^ -(folded & 1), axis=1).astype(np.uint16).view(dtype)


@pytest.fixture(scope="module")
def run(narrow, toy, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--batch-size", "20", "--learning-rate", "1e-3", "--epochs", "1"]
    return train.main(["--data", str(toy), "--out", str(out), *options]).folder


def test_slices_are_shown_in_the_order_of_the_body(tmp_path, capsys):
    for name, place in {"IM3": 5.0, "IM1": 10.0, "IM2": -2.5}.items():
        tags = {"ImagePositionPatient": [0, 0, place], "SOPInstanceUID": name} | AXIAL
        (tmp_path / name).write_bytes(make_dicom(ramp(int(100 * place + 900)), **tags))
    (tmp_path / "other").write_bytes(make_dicom(ramp(7), SeriesInstanceUID="1.5"))
    (tmp_path / "scout").write_bytes(make_dicom(ImageType="LOCALIZER"))
    page = tmp_path / "page.html"
    view.main([str(tmp_path), "--out", str(page)])
    assert capsys.readouterr().out == (
        f"{page}, {page.stat().st_size / 1e3:.0f} kB: 4 shown, 0 refused; left out: 1 no axial CT slice\n"
    )
    slices = data_of(page)["slices"]
    assert [(one["series"], one["number"], one["of"], one["mm"]) for one in slices] == [
        (1, 1, 3, 0.0),
        (1, 2, 3, 7.5),
        (1, 3, 3, 12.5),
        (2, 1, 1, None),
    ]
    for index, start in enumerate((650, 1400, 1900, 7)):
        assert np.array_equal(stored_in(page, index), ramp(start))


def test_files_folders_and_zips_mixed(tmp_path):
    for name in ("a/1.dcm", "b/2.dcm", "3.dcm"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(make_dicom(ramp(int(path.stem) * 100)))
    archive = make_zip(tmp_path / "b", tmp_path / "b.zip")
    viewed = view.main([str(tmp_path / "a"), str(archive), str(tmp_path / "3.dcm"), "--out", str(tmp_path / "p.html")])
    assert viewed.slices == 3
    assert [stored_in(tmp_path / "p.html", k)[0, 0] for k in range(3)] == [100, 200, 300]


SECRETS = {
    "PatientName": "<script>alert('x')</script>^\"O'Brien\"</script>",
    "PatientID": "4711-" + "Z" * 10_000,
    "PatientBirthDate": "19510203",
    "StudyDate": "20190817",
    "StudyTime": "235959",
    "AccessionNumber": "ACC<b>77",
    "InstitutionName": "St. Elsewhere & Sons -->",
    "StudyDescription": "]]>{{pixels}}{{script}}",
    "SOPInstanceUID": "1.2.826.0.1.111111",
    "StudyInstanceUID": "1.2.826.0.1.222222",
    "SeriesInstanceUID": "1.2.826.0.1.333333",
    "FrameOfReferenceUID": "1.2.826.0.1.444444",
    "ImagePositionPatient": [-123.4375, 77.6875, 1234.0625],
} | AXIAL


def test_nothing_of_a_patient_is_in_the_page(run, tmp_path):
    folder = tmp_path / "Doe^John <img src=x onerror=alert(1)>" / "20190817"
    folder.mkdir(parents=True)
    overlay = np.frombuffer(b"DOE^JOHN" * 64, np.uint8).reshape(16, 32)  # in bits that are no part of a value
    stored = ((ramp(900, (16, 32)).astype(np.uint16)) | (overlay.astype(np.uint16) & 0xF0) << 8).astype(np.uint16)
    (folder / "4711.dcm").write_bytes(make_dicom(stored, BitsStored=12, HighBit=11, **SECRETS))
    page = tmp_path / "page.html"
    view.main([str(folder), "--out", str(page), "--run", str(run)])
    everything = [page.read_bytes(), *packed_in(page).values()]
    secrets = [word for value in SECRETS.values() if isinstance(value, str) for word in (value, value[:12])]
    secrets += ["Doe^John", "O'Brien", "onerror", "4711", "1.2.826", "Elsewhere", "1234.06", "123.43", "20190817"]
    secrets += [str(folder), str(run), "alert("]
    for secret in secrets:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            assert not any(secret.encode(encoding) in part for part in everything), secret[:40]
    assert "\\u003c" not in page.read_text(encoding="utf-8")  # there was nothing to escape
    assert np.array_equal(stored_in(page, 0), ramp(900, (16, 32)).astype(np.uint16))


def test_padding_keeps_the_bits_that_make_it_padding(tmp_path):
    stored = ramp().astype(np.uint16) & 0xFFF
    stored[:3] = 63536
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom(stored, BitsStored=12, HighBit=11, PixelPaddingValue=63536))
    view.main([str(path), "--out", str(tmp_path / "p.html")])
    assert np.array_equal(stored_in(tmp_path / "p.html", 0), stored)


def test_smaller_slices_are_averaged_in_whole_hu(tmp_path):
    stored = np.full((40, 30), 1064, np.int16)
    stored[10:30, 10:20] = np.arange(200).reshape(20, 10) + 1000
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom(stored, RescaleSlope="0.5", RescaleIntercept="-512"))
    view.main([str(path), "--out", str(tmp_path / "p.html"), "--size", "20"])
    found = data_of(tmp_path / "p.html")
    small = stored_in(tmp_path / "p.html", 0)
    assert (small.shape, found["resampled"]) == ((20, 20), 20)
    assert (small[10, 0], small[2, 10], small[18, 4]) == (AIR_HU, 20, 20)
    view.main([str(path), "--out", str(tmp_path / "p.html"), "--size", "40"])
    assert np.array_equal(stored_in(tmp_path / "p.html", 0), stored)
    assert data_of(tmp_path / "p.html")["resampled"] is None


def test_wrapped_values_are_repaired_unless_told_not_to(tmp_path):
    stored = np.full((64, 64), 3096, np.uint16)
    stored[20:40, 20:40] = np.arange(400).reshape(20, 20) // 4
    path, page = tmp_path / "a.dcm", tmp_path / "p.html"
    path.write_bytes(make_dicom(stored, BitsStored=12, HighBit=11, RescaleIntercept="0"))
    for more, first in (([], 3096), (["--no-repair"], None)):
        view.main([str(path), "--out", str(page), *more])
        assert data_of(page)["slices"][0]["encoding"]["wrapped_from"] == first
        assert np.array_equal(stored_in(page, 0), stored)


def test_it_goes_on_after_a_bad_file(tmp_path, capsys):
    (tmp_path / "bad.dcm").write_bytes(b"no slice")
    (tmp_path / "good.dcm").write_bytes(make_dicom(ramp()))
    page = tmp_path / "page.html"
    with pytest.raises(InputError, match="1 file could not be read; the page shows the others"):
        view.main([str(tmp_path), "--out", str(page)])
    assert capsys.readouterr().err == f"{tmp_path / 'bad.dcm'}: not a DICOM file\n"
    found = data_of(page)
    assert (len(found["slices"]), found["counts"]) == (1, "Not read: 1 file.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.dcm", "--out", "p.html"], r"absent.dcm: cannot be read: No such file or directory"),
        (["text.dcm", "--out", "p.html"], r"text.dcm: not a DICOM file"),
        (["mr.dcm", "--out", "p.html"], r"no axial CT slice among 1 files"),
        (["empty", "--out", "p.html"], r"empty: holds no DICOM file"),
        (["good.dcm", "--out", "good.dcm"], r"good.dcm: the page is an HTML file; let --out end in .html"),
        (["good.dcm", "--out", "gone/p.html"], r"gone: no such folder"),
        (["good.dcm", "--out", "folder.html"], r"folder.html: is a folder"),
        (["good.dcm", "--out", "p.html", "--run", "gone"], r"gone: "),
        (["good.dcm", "--out", "p.html", "--run", "empty"], r"empty: "),
        (["good.dcm", "--out", "p.html", "--blood"], r"--blood: none of these is a phantom's slice in its own folder"),
    ],
)
def test_bad_input_is_one_line_and_no_page(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "folder.html"):
        Path(folder).mkdir()
    Path("good.dcm").write_bytes(make_dicom(ramp()))
    Path("text.dcm").write_text("no slice", encoding="utf-8")
    Path("mr.dcm").write_bytes(make_dicom(ramp(), Modality="MR"))
    before = Path("good.dcm").read_bytes()
    with pytest.raises(InputError, match=f"^{message}") as caught:
        view.main(arguments)
    assert "\n" not in str(caught.value)
    assert not Path("p.html").exists()
    assert Path("good.dcm").read_bytes() == before


def test_more_than_a_browser_can_hold_is_refused(tmp_path, monkeypatch):
    for number in range(4):
        (tmp_path / f"{number}.dcm").write_bytes(make_dicom(ramp()))
    monkeypatch.setattr(viewing, "MAX_PIXELS", 3 * 24 * 20)
    with pytest.raises(InputError, match="after 4 slices the page is full; name fewer"):
        view.main([str(tmp_path), "--out", str(tmp_path / "p.html")])
    view.main([str(tmp_path), "--out", str(tmp_path / "p.html"), "--size", "16"])


def test_ctrl_c_leaves_the_page_that_was_there(tmp_path, monkeypatch):
    path, page = tmp_path / "a.dcm", tmp_path / "p.html"
    path.write_bytes(make_dicom(ramp()))
    page.write_text("before", encoding="utf-8")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ich_jax.show.viewer._fill", stop)  # in the middle of the writing
    with pytest.raises(KeyboardInterrupt):
        view.main([str(path), "--out", str(page)])
    assert page.read_text(encoding="utf-8") == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.dcm", "p.html"]


def test_the_network_says_what_predict_says(run, tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.dcm").write_bytes(make_dicom(ramp(900 + 7 * number)))
    view.main([str(tmp_path), "--out", str(tmp_path / "p.html"), "--run", str(run)])
    found = data_of(tmp_path / "p.html")
    expected = predict.main([str(run), str(tmp_path)])["slices"]
    assert [one["probabilities"] for one in found["slices"]] == [
        [round(share, 5) for share in one["probabilities"].values()] for one in expected
    ]
    assert found["network"] == {"model": "proposed", "image_size": 32, "phantom": False}
    seen = packed_in(tmp_path / "p.html")
    for number in range(20):
        saliency = np.frombuffer(seen[f"saliency-{number}"], np.uint8)
        assert saliency.shape == (32 * 32,)
        assert saliency.max() == 255


def test_a_phantom_patient_in_a_browser(run, browse, tmp_path):
    """One patient of a phantom, its truth, and the outline of its blood."""
    rows = make_phantom(tmp_path / "phantom", 8, seed=3)
    page = tmp_path / "page.html"
    view.main([str(tmp_path / "phantom"), "--out", str(page), "--run", str(run), "--blood"])
    found = data_of(page)
    by_height = sorted(rows, key=lambda row: row.height_mm)
    assert [one["truth"]["types"] for one in found["slices"]] == [list(row.kinds) for row in by_height]
    assert all(one["phantom"] for one in found["slices"])
    assert any(row.kinds for row in rows)
    for index, (one, row) in enumerate(zip(found["slices"], by_height, strict=True)):
        assert one["truth"]["mm2"] == {kind: getattr(row, f"{kind}_mm2") for kind in row.kinds}
        assert one["blood"] == bool(row.kinds)
        if row.kinds:
            blood = np.frombuffer(packed_in(page)[f"blood-{index}"], np.uint8)
            assert 2 < blood.sum() / sum(one["truth"]["mm2"].values()) < 12  # pixels are 0.3 to 0.6 mm wide
    middle = len(rows) // 2
    cases = [Case(middle), Case(middle, 600, 2800), Case(middle, order="window-first")]

    def look(page):
        page.check("#show-truth")
        stacks = pictures(page, [Case(middle), Case(middle, order="window-first")], ".panels canvas")
        return page.inner_text("header"), pictures(page, cases), stacks

    banner, (brain, bone, _), (stack, resized) = browse(page, look)
    raw = read_stored(tmp_path / "phantom" / "stage_2_train" / f"{by_height[middle].image_id}.dcm")
    rgb = hu_to_rgb(pad_to_square(raw.encoding.to_hu(raw.stored), AIR_HU))
    assert "PHANTOM: synthetic slices" in banner
    assert np.array_equal(stack, rgb)
    assert np.array_equal(brain[..., 0], rgb[..., 0])
    assert np.array_equal(bone[..., 0], rgb[..., 2])
    assert np.array_equal(resized, slice_to_image(raw, 32))


@pytest.mark.slow
def test_real_slices_in_a_browser(browse, rsna_sample, tmp_path):
    """Every pixel of every slice, as stored and as the network's input."""
    page = tmp_path / "page.html"
    view.main([str(rsna_sample), "--out", str(page)])
    assert page.stat().st_size < 16e6
    members = find_slices([rsna_sample]).slices
    answers = [place_of(member, read_member(member)) | {"member": member} for member in members]
    ordered = [one["member"] for series in by_series(answers) for one in series]
    assert len(data_of(page)["slices"]) == len(ordered) == 38
    orders = ("stored", "window-first")
    cases = [Case(index, order=order) for order in orders for index in range(len(ordered))]

    def look(page):
        return page.inner_text("header"), [pictures(page, [case], ".panels canvas")[0] for case in cases]

    banner, found = browse(page, look)
    assert "PHANTOM" not in banner
    for case, image in zip(cases, found, strict=True):
        raw = read_member(ordered[case.index])
        hu = pad_to_square(raw.encoding.to_hu(raw.stored), AIR_HU)
        assert np.array_equal(image, hu_to_rgb(hu) if case.order == "stored" else slice_to_image(raw)), case
