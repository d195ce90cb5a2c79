import pytest

from benchmarks import ablation
from ich_jax.plumbing.files import read_json
from ich_jax.training.config import read_config

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI")


def test_each_arm_has_its_own_phantom_and_settings_and_nothing_is_done_twice(narrow, tmp_path, monkeypatch, capsys):
    arms = {"as shipped": ("", {"epochs": 1}), "without pose": ("pose", {"epochs": 1, "augment": False})}
    monkeypatch.setattr(ablation, "ARMS", arms)
    monkeypatch.setitem(ablation.SHIFTED, "slices", 60)
    monkeypatch.setattr(ablation, "DEFAULT_IMAGE_SIZE", 32)
    command = ["--out", str(tmp_path), "--seeds", "2", "--slices", "130", "--arms", *arms]
    result = ablation.main(command)
    assert result["arms"].keys() == arms.keys()
    for figures in result["arms"].values():
        assert all(len(values) == 2 for values in figures.values())
        assert all(0 <= value <= 1 for name, values in figures.items() if "AUC" in name for value in values)
    runs = {path.name: read_config(path) for path in tmp_path.iterdir() if (path / "config.json").exists()}
    assert runs.keys() == {"as-shipped-0", "as-shipped-1", "without-pose-0", "without-pose-1"}
    assert [runs[f"without-pose-{seed}"][0].seed for seed in (0, 1)] == [0, 1]
    assert [settings.augment for settings, _ in runs.values()].count(True) == 2
    data = {name: found.fingerprint for name, (_, found) in runs.items()}
    assert data["as-shipped-0"] == data["as-shipped-1"] != data["without-pose-0"]
    assert not (tmp_path / "phantom" / "kaggle").exists(), "only what is trained on is kept"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert ablation.main(command) == result
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} <= {path for path in after if path.suffix == ""}
    assert "never for diagnosis" in capsys.readouterr().out
    assert read_json(tmp_path / "shifted" / "phantom.json")["settings"]["domain"] == "shifted"
