from pathlib import Path

import pytest

from benchmarks import ablation
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import read_json
from ich_jax.training.config import read_config

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI")


def test_an_arm_has_its_own_phantom_and_settings_and_nothing_is_done_twice(narrow, tmp_path, monkeypatch, capsys):
    arms = {"without pose": ("pose", {"epochs": 1, "augment": False, "beta1": 0.9})}
    monkeypatch.setattr(ablation, "ARMS", arms)
    monkeypatch.setitem(ablation.SHIFTED, "slices", 36)
    monkeypatch.setattr(ablation, "DEFAULT_IMAGE_SIZE", 32)
    command = ["--out", str(tmp_path), "--seeds", "1", "--slices", "72", "--workers", "1", "--arms", *arms]
    result = ablation.main(command)
    figures = result["arms"]["without pose"]
    assert all(len(values) == 1 for values in figures.values())
    assert all(0 <= value <= 1 for name, values in figures.items() if "AUC" in name for value in values)
    (run,) = (path for path in tmp_path.iterdir() if (path / "config.json").exists())
    assert run.name == "without-pose-0"
    settings, found = read_config(run)
    assert (settings.beta1, settings.augment) == (0.9, False)
    assert Path(found.data).parent.name == "phantom-without-pose"
    assert not (Path(found.data).parent / "kaggle").exists(), "only what is trained on is kept"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert ablation._train(tmp_path, "without pose", 0, 72, 1).settings == settings
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before
    with pytest.raises(InputError, match="two sources have one name"):
        ablation.main(["a/x", "b/x", *command])
    with pytest.raises(InputError, match="other settings"):
        ablation.main([*command, "--slices", "73"])
    assert "never for diagnosis" in capsys.readouterr().out
    assert read_json(tmp_path / "shifted" / "phantom.json")["settings"]["domain"] == "shifted"
