import hashlib
import json
import os
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from benchmarks.narrow import NarrowCNN
from ich_jax.models import MODELS
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.steps import TrainState
from ich_jax.plumbing.command import InputError
from ich_jax.training.config import SHARED as MODEL
from ich_jax.training.config import Found, Settings
from ich_jax.training.network import build
from ich_jax.training.run import Run, open_run
from ich_jax.training.shared import open_shared, open_trained, write_shared
from tests.conftest import compiled_quickly
from tests.make import make_weights

FOUND = Found("/home/someone/toy", "toy", False, "abc", 37, {"train": 48, "validation": 24, "test": 24}, "cpu (cpu)")

IN_PRECISIONS = (*((name, "float32") for name in MODELS), ("proposed", "bfloat16"))


def fresh_run(settings: Settings, found: Found = FOUND) -> Run:
    """As after an epoch, but with weights out of the air, and no optimizer."""
    network = build(settings, found)
    params, batch_stats = (network.devices.put(make_weights(tree)) for tree in network.like[1:3])
    state = TrainState(jnp.int32(0), params, batch_stats, ())
    return Run(Path("run"), settings, found, network, state, [], EarlyStopping(3).after(1.0))


@pytest.mark.parametrize(("model", "precision"), IN_PRECISIONS)
def test_what_is_shared_comes_back_to_the_last_bit(tmp_path, model, precision):
    run = fresh_run(Settings(model=model, precision=precision))
    write_shared(tmp_path, run)
    shared = open_trained(tmp_path)
    assert (shared.settings, shared.found) == (run.settings, replace(run.found, data="toy"))
    assert shared.network is run.network, "the same program"
    for trained, read in ((run.state.params, shared.state.params), (run.state.batch_stats, shared.state.batch_stats)):
        assert jax.tree.structure(trained) == jax.tree.structure(read)
        for one, other in zip(jax.tree.leaves(trained), jax.tree.leaves(read), strict=True):
            assert (one.dtype, one.sharding) == (other.dtype, other.sharding)
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("model", "precision"), IN_PRECISIONS)
def test_what_is_shared_answers_to_the_last_bit_as_the_run(tmp_path, model, precision):
    run = fresh_run(Settings(model=model, precision=precision))
    write_shared(tmp_path, run)
    shared = open_trained(tmp_path)
    images = np.random.default_rng(1).integers(0, 256, (3, 37, 37, 3), np.uint8)
    with compiled_quickly():
        answers = [
            np.asarray(one.network.steps.evaluate(one.state.params, one.state.batch_stats, images))
            for one in (run, shared)
        ]
    assert answers[0].any()
    np.testing.assert_array_equal(*answers)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A shared folder of a narrow network, to be spoilt."""
    monkeypatch.setitem(MODELS, "proposed", NarrowCNN)
    write_shared(tmp_path, fresh_run(Settings(decay="cosine")))
    assert open_shared(tmp_path).settings.decay == "cosine"
    return tmp_path


def put(folder: Path, content: bytes) -> None:
    """Other weights, with their right sum in config.json."""
    (folder / MODEL).write_bytes(content)
    change(folder, sha256=hashlib.sha256(content).hexdigest())


def change(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = {name: changes.pop(name) for name in ("image_size", "slices") if name in changes}
    config = config | changes | {"found": config["found"] | found}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def tensors(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / MODEL)


def with_nan(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flat[-1] = np.nan
    return values


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t | {"dense.bias": t["dense.bias"][:5]}, r"dense.bias is not float32 \(6,\)"),
        (lambda t: t | {"dense.bias": t["dense.bias"].astype(np.float64)}, r"dense.bias is not float32"),
        (lambda t: t | {"dense.bias": t["dense.bias"].view(np.int32)}, r"dense.bias is not float32"),
        (lambda t: t | {"dense.kernel": t["dense.kernel"].T}, r"dense.kernel is not float32"),
        (lambda t: {name: t[name] for name in t if name != "dense.bias"}, "dense.bias is not float32"),
        (lambda t: t | {"more": np.zeros(1, np.float32)}, "has more, too"),
        (lambda t: t | {"stem.norm.var": with_nan(t["stem.norm.var"])}, "stem.norm.var has values that are not finite"),
        (lambda t: t | {"stem.norm.var": np.inf * t["stem.norm.var"]}, "stem.norm.var has values that are not finite"),
    ],
    ids=["shape", "float64", "int32", "transposed", "missing", "more", "NaN", "infinite"],
)
def test_other_arrays_are_refused(folder, spoil, words):
    put(folder, save({name: np.ascontiguousarray(values) for name, values in spoil(tensors(folder)).items()}))
    with pytest.raises(InputError, match=rf"{MODEL}: .*{words}"):
        open_trained(folder)


def test_weights_that_are_not_those_of_config_json_are_refused(folder):
    flipped = bytearray((folder / MODEL).read_bytes())
    flipped[-1] ^= 1
    (folder / MODEL).write_bytes(flipped)
    with pytest.raises(InputError, match="not the weights that config"):
        open_trained(folder)


@pytest.mark.parametrize("model", ["mobilenet", "inception_v1"])
def test_another_networks_weights_are_refused(folder, tmp_path_factory, model):
    other = tmp_path_factory.mktemp("other")
    write_shared(other, fresh_run(Settings(model=model)))
    put(folder, (other / MODEL).read_bytes())
    with pytest.raises(InputError, match=f"{MODEL}: damaged or of another network"):
        open_trained(folder)


@pytest.mark.parametrize("claimed", [10**10, 2**64 - 1, 0, 3])
def test_a_header_of_any_length_is_no_danger(folder, claimed):
    put(folder, struct.pack("<Q", claimed) + (folder / MODEL).read_bytes()[8:])
    with pytest.raises(InputError, match=f"{MODEL}: damaged"):
        open_trained(folder)


@pytest.mark.parametrize("size", [0, 7, 5000, 2**40])
def test_a_file_of_another_size_is_not_read(folder, size):
    os.truncate(folder / MODEL, size)
    with pytest.raises(InputError, match=rf"{MODEL}: damaged or of another network: {size:,} bytes"):
        open_trained(folder)


@hypothesis_settings(max_examples=60)
@given(data=st.data())
def test_whatever_the_bytes_are_it_is_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzzed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "proposed", NarrowCNN)
        write_shared(folder, fresh_run(Settings()))
        content = bytearray((folder / MODEL).read_bytes())
        header = 8 + int.from_bytes(content[:8], "little")
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
        put(folder, bytes(content))
        with suppress(InputError):  # no other exception; and what is read was only text about the file
            assert open_trained(folder).settings == Settings()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_opened(folder, make):
    for name, words in ((MODEL, "not a file"), ("config.json", "damaged: not a file")):
        (folder / name).unlink()
        make(folder / name)
        with pytest.raises(InputError, match=f"{name}: {words}"):
            open_trained(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[" * 100_000, "damaged"),
        ("[]", "not a JSON object"),
        ("{}", "not of this version"),
        (" " * 2**20 + "{}", "too long for settings"),
    ],
    ids=["empty", "cut off", "deep", "list", "no format", "long"],
)
def test_a_config_that_is_none_is_refused(folder, text, words):
    (folder / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"config.json: .*{words}"):
        open_trained(folder)


def test_a_phantoms_network_stays_one(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["found"]["phantom"] = True
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=f"config.json: does not say what {MODEL} says of itself"):
        open_trained(folder)


def test_a_folder_without_its_weights_is_no_run_to_go_on_with(folder):
    (folder / MODEL).unlink()
    with pytest.raises(InputError, match=f"{MODEL}: missing, and this is a shared network's folder"):
        open_trained(folder)


def test_a_file_is_no_folder(folder):
    for name in (MODEL, "config.json"):
        with pytest.raises(InputError, match=f"{name}: is a file; name the folder of a run"):
            open_trained(folder / name)


def test_it_is_no_run_to_go_on_with(folder):
    with pytest.raises(InputError, match="a shared network, not a run"):
        open_run(folder)


@pytest.mark.parametrize("size", [10**9, 10**30, 4097, 0, -1])
def test_absurd_images_are_refused(folder, size):
    change(folder, image_size=size)
    with pytest.raises(InputError, match=f"config.json: damaged: images of {size} pixels"):
        open_trained(folder)


def test_other_facts_that_do_not_fit(folder):
    change(folder, image_size=4096)
    with pytest.raises(InputError, match=f"{MODEL}: damaged or of another network"):
        open_trained(folder)
    change(folder, image_size=37, slices={"train": 10**40, "validation": 1, "test": 1})
    assert open_trained(folder).found.slices["train"] == 10**40, "an answer does not depend on it"
    change(folder, windows_hu=[])
    with pytest.raises(InputError, match=r"config.json: .*other classes or windows"):
        open_trained(folder)


def test_without_settings_it_is_nothing(folder):
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match="not a run folder"):
        open_trained(folder)
