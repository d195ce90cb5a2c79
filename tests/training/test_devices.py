"""Four devices, and two processes of two, beside one device: the same history to 1e-4."""

import csv
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ich_jax import train
from ich_jax.plumbing.command import InputError
from ich_jax.training.batches import training_batches
from ich_jax.training.config import count_or_all
from ich_jax.training.devices import choose_devices, join_hosts

pytestmark = [pytest.mark.xdist_group("devices"), pytest.mark.usefixtures("narrow")]

# 50 training slices: two batches of 20, which four devices divide, and one of 10, which goes whole to each. At
# the paper's learning rate: large steps would blow roundings up.
OPTIONS = ["--limit", "90", "--batch-size", "20", "--epochs", "3"]


def command(toy: Path, out: Path, *more: str) -> list:
    return [sys.executable, "-m", "benchmarks.narrow", "train", "--data", toy, "--out", out, *OPTIONS, *more]


def environment(devices: int) -> dict[str, str]:
    return os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)}


def history(folder: Path) -> np.ndarray:
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return np.array(
            [[float(value) for name, value in row.items() if name != "seconds"] for row in csv.DictReader(file)]
        )


@pytest.fixture(scope="module")
def alone(narrow, toy, tmp_path_factory) -> np.ndarray:
    """The history on one device."""
    out = tmp_path_factory.mktemp("devices") / "alone"
    train.main(["--data", str(toy), "--out", str(out), *OPTIONS])
    return history(out)


@pytest.mark.slow
def test_four_devices_learn_as_one(toy, alone, tmp_path):
    done = subprocess.run(
        command(toy, tmp_path / "out", "--devices", "4"), env=environment(4), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "4 × cpu (cpu)" in done.stdout
    np.testing.assert_allclose(history(tmp_path / "out"), alone, atol=1e-4)


def start_two(toy: Path, out: Path, *more: str) -> list[subprocess.Popen]:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        address = f"localhost:{found.getsockname()[1]}"
    return [
        subprocess.Popen(
            command(toy, out, "--hosts", f"{address},{number},2", *more),
            env=environment(2),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (0, 1)
    ]


@pytest.mark.slow
def test_two_hosts_learn_as_one_device_also_when_each_is_killed_once(toy, alone, tmp_path):
    out, more = tmp_path / "out", []
    for epoch, killed in enumerate((1, 0), start=1):
        hosts = start_two(toy, out, *more)
        while f"epoch  {epoch}" not in hosts[0].stdout.readline():
            assert [host.poll() for host in hosts] == [None, None]
        hosts[killed].send_signal(signal.SIGKILL)
        _, said = hosts[1 - killed].communicate(timeout=120)
        assert hosts[1 - killed].returncode == 2, said
        assert "error: another host is gone; start all of them again with --resume" in said
        hosts[killed].communicate()
        more = ["--resume"]
    done = [(*host.communicate(timeout=300), host.returncode) for host in start_two(toy, out, *more)]
    assert [code for _, _, code in done] == [0, 0], done
    assert "on 2 hosts" in done[0][0]
    assert "going on after epoch" in done[0][0]
    # Not line by line: threads of [Gloo], which connects the two, write into each other's lines.
    assert not [word for word in ("epoch", "best", "test", "on 2 hosts") if word in done[1][0]], "the first one speaks"
    np.testing.assert_allclose(history(out), alone, atol=1e-4)
    assert not (out / ".lock").exists()


SPREAD = """
import numpy as np
from ich_jax.training.batches import training_batches
from ich_jax.training.devices import choose_devices
devices, rows = choose_devices(4), np.arange(5, 45)
images, classes = np.arange(50, dtype=np.uint8)[:, None, None, None], np.arange(50)
batches = list(training_batches(images, classes, rows, 18, 0, 1, devices))
assert [len(batch.classes) for batch in batches] == [18, 18, 4]
assert [len(batch.images.addressable_shards[0].data) for batch in batches] == [18, 18, 1]  # 4 does not divide 18
assert [batch.images.sharding.is_fully_replicated for batch in batches] == [True, True, False]
seen = np.concatenate([np.asarray(batch.classes) for batch in batches])
assert sorted(seen) == list(rows), "none lost, none twice"
assert all(np.array_equal(np.ravel(batch.images), batch.classes) for batch in batches)
"""


def test_a_batch_that_the_devices_do_not_divide_loses_no_slice_and_doubles_none():
    done = subprocess.run([sys.executable, "-c", SPREAD], env=environment(4), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_one_device_is_the_default_on_a_cpu(toy):
    assert choose_devices().count == choose_devices(1).count == 1
    (batch,) = training_batches(np.zeros((3, 1, 1, 3), np.uint8), np.arange(3), np.arange(3), 8, 0, 1)
    assert sorted(batch.classes.tolist()) == [0, 1, 2]


def test_what_cannot_be_is_refused(toy, tmp_path, capsys):
    assert (count_or_all("all"), count_or_all("3")) == (None, 3)
    for wrong in ("0", "-1", "two", ""):
        with pytest.raises(SystemExit) as caught:
            train.main(["--data", str(toy), "--devices", wrong])
        assert caught.value.code == 2
    with pytest.raises(InputError, match=r"--devices 2: there are only 1; JAX_NUM_CPU_DEVICES=4"):
        choose_devices(2)
    with pytest.raises(SystemExit):
        train.main(["--hosts", "auto"])
    assert "--hosts needs --data and --out" in capsys.readouterr().err
    for text in ("localhost", "localhost:1,0", "localhost,0,2", "localhost:1,2,2", "localhost:1,a,2"):
        with pytest.raises(InputError, match="--hosts"):
            join_hosts(text)
