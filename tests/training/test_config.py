import argparse
import json
from dataclasses import asdict, fields, replace

import pytest

from ich_jax.paper import printed
from ich_jax.plumbing.command import InputError
from ich_jax.training.config import (
    FORMAT,
    PRESETS,
    Found,
    Settings,
    add_options,
    preset,
    read_config,
    require_same_training,
    unlike_the_paper,
    write_config,
)

FOUND = Found("data/toy", "toy", False, "abc", 224, {"train": 4, "validation": 2, "test": 2}, "cpu (cpu)")


def parse(*words: str) -> dict:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return vars(parser.parse_args(words))


def test_the_defaults_are_the_papers():
    settings = Settings()
    assert (settings.model, settings.batch_size, settings.learning_rate, settings.beta1) == ("proposed", 32, 1e-5, 0.95)
    assert (settings.epochs, settings.patience, settings.split, settings.decay) == (30, 3, "image", "none")
    assert preset("paper") == settings
    assert preset("phantom", epochs=3) == Settings(**(PRESETS["phantom"] | {"epochs": 3}))
    assert PRESETS["paper"].keys() == PRESETS["phantom"].keys()


def test_every_setting_has_an_option_and_only_what_is_given_is_parsed():
    assert parse() == {}
    plain = [one for one in fields(Settings) if one.type is not bool]
    given = parse(*(word for one in plain for word in (f"--{one.name.replace('_', '-')}", str(one.default))))
    assert given.keys() == {one.name for one in plain}
    assert Settings(**given) == Settings()
    assert parse("--augment") == {"augment": True}
    assert parse("--no-augment") == {"augment": False}
    assert parse("--learning-rate", "1", "--preset", "phantom") == {"learning_rate": 1.0, "preset": "phantom"}


WRONG = [
    ("batch_size", 0, "at least 1"),
    ("batch_size", 2**32, "below 2"),
    ("learning_rate", -1.0, "above 0"),
    ("learning_rate", 0.0, "above 0"),
    ("learning_rate", float("nan"), "a number"),
    ("learning_rate", float("inf"), "a number"),
    ("beta1", 2.0, "below 1"),
    ("beta1", 1.0, "below 1"),
    ("beta1", -0.1, "at least 0"),
    ("norm_momentum", 1.0, "below 1"),
    ("epochs", -1, "at least 1"),
    ("patience", 0, "at least 1"),
    ("seed", -3, "at least 0"),
    ("split_seed", -1, "at least 0"),
    ("limit", -1, "at least 0"),
    ("model", "oracle", "one of proposed"),
    ("split", "series", "one of image"),
    ("stopping", "never", "one of no-improvement"),
    ("decay", "fast", "one of none"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_a_wrong_value_is_refused_in_python_on_the_command_line_and_in_config_json(
    name, value, words, tmp_path, capsys
):
    with pytest.raises(InputError, match=words):
        Settings(**{name: value})
    with pytest.raises(SystemExit) as caught:
        parse(f"--{name.replace('_', '-')}={value}")
    assert caught.value.code == 2
    assert name.replace("_", "-") in capsys.readouterr().err
    write_config(tmp_path, Settings(), FOUND)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["settings"][name] = value
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=rf"config.json: {name.replace('_', ' ')} .*{words}"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 2.5), ("epochs", "3"), ("epochs", True), ("beta1", "0.9"), ("learning_rate", None), ("augment", 1)],
)
def test_a_value_of_another_type_is_refused(name, value):
    with pytest.raises(InputError, match=f"{name.replace('_', ' ')} must be"):
        Settings(**{name: value})


def test_what_is_written_is_read_and_a_whole_number_is_a_number(tmp_path):
    settings = Settings(learning_rate=1, beta1=0, seed=5)
    assert type(settings.learning_rate) is float
    write_config(tmp_path, settings, FOUND)
    assert read_config(tmp_path) == (settings, FOUND)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["settings"]["learning_rate"] = 1
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert read_config(tmp_path) == (settings, FOUND)


def test_a_config_from_before_a_setting_has_its_default(tmp_path):
    write_config(tmp_path, Settings(seed=5), FOUND)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    del config["settings"]["augment"]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert read_config(tmp_path)[0] == Settings(seed=5, augment=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ("{}", "not of this version"),
        (f'{{"format": {FORMAT}}}', "damaged"),
        (json.dumps({"format": FORMAT, "settings": {"colour": 1}, "found": {}}), "damaged"),
        (json.dumps({"format": FORMAT, "settings": 3, "found": {}}), "damaged"),
        (json.dumps({"format": FORMAT, "settings": {}, "found": asdict(FOUND) | {"image_size": "big"}}), "damaged"),
        (json.dumps({"format": FORMAT, "settings": {}, "found": asdict(FOUND) | {"slices": [1]}}), "damaged"),
    ],
)
def test_a_damaged_config_is_refused(tmp_path, text, words):
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"config.json: .*{words}"):
        read_config(tmp_path)


def test_more_epochs_go_on_but_not_with_a_decaying_rate(tmp_path):
    usual = Settings()
    require_same_training(replace(usual, epochs=40), usual, tmp_path)
    with pytest.raises(InputError, match="was started with batch size 32, not 8"):
        require_same_training(replace(usual, batch_size=8), usual, tmp_path)
    with pytest.raises(InputError, match="was started with augment False, not True"):
        require_same_training(replace(usual, augment=True), usual, tmp_path)
    decaying = replace(usual, decay="cosine")
    with pytest.raises(InputError, match="was started with epochs 30, not 40"):
        require_same_training(replace(decaying, epochs=40), decaying, tmp_path)


def test_what_is_not_the_papers_is_said():
    assert unlike_the_paper(Settings(), FOUND) == []
    assert FOUND.image_size == printed.IMAGE_SIZE
    assert unlike_the_paper(Settings(seed=3, split_seed=4, model="mobilenet"), FOUND) == []
    settings = Settings(learning_rate=1e-3, split="patient", limit=50, augment=True)
    assert unlike_the_paper(settings, replace(FOUND, phantom=True, image_size=96)) == [
        "synthetic data (RSNA 2019)",
        "at most 50 slices (all)",
        "learning rate 0.001 (1e-05)",
        "split patient (image)",
        "augment True (False)",
        "image size 96 (224)",
    ]
