"""Typical mistakes of assignment 3, at the marks that they are meant to get."""

import random
from collections import Counter, defaultdict

import numpy as np

from ich_jax.paper.printed import CLASSES
from tests.tutorials.coursework.marked import points, reasons
from tutorials.coursework.reference.labels import class_of_each_image, leak, split, table_1


def _types_of(rows):
    """As a student would: image → its types, duplicates unchecked."""
    types = defaultdict(list)
    for name, value in rows:
        image, kind = name.rsplit("_", 1)
        if value == "1" and kind != "any":
            types[image].append(kind)
        else:
            types[image] = types[image]
    return types


def _by_hand(classes, seed, quarter=lambda count: count // 4):
    generator = random.Random(seed)
    parts = {"train": [], "validation": [], "test": []}
    for index in sorted(set(classes.tolist())):
        images = [place for place, own in enumerate(classes) if own == index]
        generator.shuffle(images)
        size = quarter(len(images))
        parts["test"] += images[:size]
        parts["validation"] += images[size : 2 * size]
        parts["train"] += images[2 * size :]
    return parts


def test_lists_sets_and_other_random_numbers_lose_nothing():
    def in_sets(classes, seed):
        return {part: set(rows) for part, rows in _by_hand(classes, seed).items()}

    def in_arrays(classes, seed):
        return {part: np.array(rows, np.uint32) for part, rows in _by_hand(classes, seed).items()}

    def single(patient_ids, parts):
        known = {patient_ids[k] for k in parts["train"]}
        return np.float32(sum(patient_ids[k] in known for k in parts["test"]) / len(parts["test"]))

    for other in (_by_hand, in_sets, in_arrays):
        assert points("labels", split=other) == {}
    assert points("labels", leak=single) == {}
    assert points("labels", class_counts=lambda known: {c: list(known.values()).count(c) for c in CLASSES}) == {}


def test_rows_that_contradict_each_other_are_taken():
    def unchecked(rows):
        types = {image: set(own) for image, own in _types_of(rows).items()}
        return {image: next(iter(own), "none") for image, own in types.items() if len(own) < 2}

    assert points("labels", class_of_each_image=unchecked) == {"class_of_each_image": 4}
    assert "must raise ValueError, and gives {" in reasons("labels", class_of_each_image=unchecked)


def test_rows_that_occur_twice_count_twice():
    def twice(rows):
        return {image: (own or ["none"])[0] for image, own in _types_of(rows).items() if len(own) < 2}

    assert points("labels", class_of_each_image=twice) == {"class_of_each_image": 3}
    assert "if a type in a row that occurs twice is counted as two" in reasons("labels", class_of_each_image=twice)


def test_the_first_of_several_types():
    def first(rows):
        class_of_each_image(rows)
        own = {image: set(types) for image, types in _types_of(rows).items()}
        return {image: min(types, key=CLASSES.index, default="none") for image, types in own.items()}

    assert points("labels", class_of_each_image=first) == {"class_of_each_image": 4}
    assert "if an image of several types gets the first of them" in reasons("labels", class_of_each_image=first)


def test_healthy_images_are_forgotten():
    def only_bleeds(rows):
        return {image: name for image, name in class_of_each_image(rows).items() if name != "none"}

    assert points("labels", class_of_each_image=only_bleeds) == {"class_of_each_image": 1}
    assert "if an image without a hemorrhage is left out" in reasons("labels", class_of_each_image=only_bleeds)


def test_the_identifier_is_cut_at_the_wrong_underscore():
    def second(rows):
        return {"_".join(image.split("_")[:2]): name for image, name in class_of_each_image(rows).items()}

    assert points("labels", class_of_each_image=second) == {"class_of_each_image": 4}


def test_only_the_example():
    def example(rows):
        return {"ID_0fe31b044": "none", "ID_7ba0f3d21": "subdural"}

    assert points("labels", class_of_each_image=example) == {"class_of_each_image": 1}


def test_classes_without_an_image_are_not_counted():
    def without(image_class):
        return dict(Counter(image_class.values()))

    assert points("labels", class_counts=without) == {"class_counts": 0}
    assert "lacks the keys ['" in reasons("labels", class_counts=without)


def test_quarters_are_rounded():
    def rounded(classes, seed):
        return _by_hand(classes, seed, quarter=lambda count: round(count / 4))

    assert points("labels", split=rounded) == {"split": 2}
    assert "if a quarter is rounded to nearest" in reasons("labels", split=rounded)


def test_quarters_of_all_and_not_of_each_class():
    def of_all(classes, seed):
        return _by_hand(np.zeros_like(classes), seed)

    assert points("labels", split=of_all) == {"split": 2}
    assert "if all images are cut into quarters" in reasons("labels", split=of_all)


def test_validation_and_test_overlap():
    def overlapping(classes, seed):
        parts = split(classes, seed)
        return parts | {"test": parts["validation"]}

    assert points("labels", split=overlapping) == {"split": 2}
    assert "is in 'validation' and 'test'" in reasons("labels", split=overlapping)


def test_nothing_is_drawn():
    def first_come(classes, seed):
        return _by_hand(np.array(classes), seed=1)

    def at_random(classes, seed):
        return split(classes, int(np.random.default_rng().integers(2**30)))

    assert points("labels", split=first_come) == {"split": 2}
    assert "gives the same split as every other seed" in reasons("labels", split=first_come)
    assert points("labels", split=at_random) == {"split": 2}
    assert "called twice, gives two different splits" in reasons("labels", split=at_random)


def test_a_class_is_never_tested():
    def half(classes, seed):
        """Only the end of each class is shuffled."""
        parts = {"train": [], "validation": [], "test": []}
        for index in range(6):
            images = np.flatnonzero(classes == index)
            size, generator = len(images) // 4, np.random.default_rng(seed)
            rest = generator.permutation(images[len(images) - 2 * size :])
            parts["train"] += images[: len(images) - 2 * size].tolist()
            parts["validation"] += rest[:size].tolist()
            parts["test"] += rest[size:].tolist()
        return parts

    assert points("labels", split=half) == {"split": 2}
    assert "is not in 'train' under any of 60 seeds" in reasons("labels", split=half)


def test_masks_instead_of_places():
    def masks(classes, seed):
        return {part: np.isin(np.arange(len(classes)), rows) for part, rows in split(classes, seed).items()}

    assert points("labels", split=masks) == {"split": 0}
    assert "must be (n,) integers, not" in reasons("labels", split=masks)


def test_patients_are_counted_instead_of_slices():
    def of_patients(patient_ids, parts):
        test, train = ({patient_ids[k] for k in parts[part]} for part in ("test", "train"))
        return len(test & train) / len(test)

    assert points("labels", leak=of_patients) == {"leak": 0}
    assert "if patients are counted, not slices" in reasons("labels", leak=of_patients)


def test_a_share_in_per_cent():
    def percent(patient_ids, parts):
        return 100 * leak(patient_ids, parts)

    assert points("labels", leak=percent) == {"leak": 0}
    assert "if it is in per cent" in reasons("labels", leak=percent)


def test_doubles_are_counted_before_the_split():
    def before(images, listed_twice):
        return table_1({name: count + listed_twice.get(name, 0) for name, count in images.items()}, {})

    assert points("labels", table_1=before) == {"table_1": 0}
    assert "['none'] ['train'] gives 322438, not 322440" in reasons("labels", table_1=before)
    assert "if doubles are counted before the split" in reasons("labels", table_1=before)
