import os
from dataclasses import replace

import numpy as np
import pytest

from ich_jax import train
from ich_jax.data.prepared import open_prepared
from ich_jax.plumbing.command import InputError
from ich_jax.training import cache
from ich_jax.training.batches import training_batches
from ich_jax.training.cache import cache_on_device
from ich_jax.training.config import Settings
from ich_jax.training.devices import choose_devices
from ich_jax.training.run import train as train_run

COUNT = 37
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 4, 3), np.uint8)
CLASSES = (np.arange(COUNT) % 6).astype(np.int32)


@pytest.mark.parametrize("chunk", [1, 5, 24, 1000])
def test_batches_from_the_device_are_those_from_the_disk(monkeypatch, chunk):
    monkeypatch.setattr(cache, "CHUNK", chunk)
    rows = np.sort(np.random.default_rng(1).permutation(COUNT)[:24])
    kept = cache_on_device(IMAGES, rows, choose_devices(1))
    np.testing.assert_array_equal(kept.images, IMAGES[rows])
    disk, device = (list(training_batches(images, CLASSES, rows, 7, 3, 2)) for images in (IMAGES, kept))
    assert len(disk) == len(device) == 4
    for one, other in zip(disk, device, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.classes, other.classes)


def test_a_training_from_the_cache_is_the_same(toy, tmp_path):
    settings, prepared = Settings(batch_size=20, learning_rate=1e-3, epochs=1), open_prepared(toy)
    runs = [
        train_run(replace(settings), prepared, tmp_path / str(cached), cached=cached, say=lambda _: None)
        for cached in (False, True)
    ]
    one, other = ({name: row[name] for name in row if name != "seconds"} for (row,) in (run.history for run in runs))
    assert one == other


def test_what_does_not_fit_is_refused_with_the_numbers_and_leaves_nothing(toy, monkeypatch):
    monkeypatch.setattr(cache, "_free", lambda devices: 100_000_000)
    big = np.broadcast_to(IMAGES[:1, :1, :1], (1000, 224, 224, 3))
    words = r"600 training slices are 90 MB; the device has 100 MB free, of which 75% may be used; train without it"
    with pytest.raises(InputError, match=words):
        cache_on_device(big, np.arange(600), choose_devices(1))
    monkeypatch.setattr(cache, "_free", lambda devices: 1000)
    with pytest.raises(InputError, match="48 training slices are 147 kB"):
        train.main(["--data", str(toy), "--cache-on-device"])
    assert os.listdir("runs") == []
