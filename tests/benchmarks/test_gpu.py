import pytest

from benchmarks import gpu

SMALL = ["--size", "33", "--steps", "1", "--feed-images", "20", "--models", "proposed"]


def test_the_papers_run_is_projected_from_the_rates_at_its_batch_size(monkeypatch, capsys):
    rates = {"train_images_per_second": 3000.0, "eval_images_per_second": 9000.0, "planned_memory_bytes": 2**30}
    monkeypatch.setattr(gpu, "here", lambda *_: rates)
    monkeypatch.setattr(gpu.against_torch, "torch", None)
    result = gpu.main([*SMALL, "--batch-sizes", "8", "32"])
    assert list(result["programs"]) == [
        f"proposed, batch {size}, {precision}" for size in (8, 32) for precision in ("float32", "bfloat16")
    ]
    minutes = 9 * (360_373 / 3000 + 180_180 / 9000) / 60
    assert result["projected_minutes_of_the_papers_run"] == pytest.approx({"float32": minutes, "bfloat16": minutes})
    assert "9 epochs at batch 32, bfloat16: 21 minutes, projected" in capsys.readouterr().out


def test_what_the_time_does_not_reach_is_named(capsys):
    result = gpu.main([*SMALL, "--batch-sizes", "8", "--minutes", "0"])
    assert not result["programs"]
    assert "not measured, the time was over: proposed, batch 8, float32; " in capsys.readouterr().out
