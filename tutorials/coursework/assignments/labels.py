"""Marks of assignment 3, labels and splits. Compared with ich_jax.data.labels, ich_jax.paper.splits and .printed."""

from collections import Counter

import numpy as np

from ich_jax.data.labels import parse_labels
from ich_jax.paper.printed import CLASSES, TYPES, table_1
from ich_jax.paper.splits import PARTS, split_by_image
from tutorials.coursework.marking import Ask, Assignment, Lost

labels = Assignment("labels")
Rows = list[tuple[str, str]]
SEEDS = 60  # so many that an image which is drawn at random is in each part under one of them: 1 − 0.75⁶⁰


@labels.given("class_of_each_image", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_classes(ask, _rows("ID_0fe31b044", ()) + _rows("ID_7ba0f3d21", ("subdural",)))


@labels.drawn("class_of_each_image", 1, "rows in any order, identifiers with several underscores")
def _(ask: Ask, draw: np.random.Generator) -> None:
    names = [f"{kind}_{number}_{draw.integers(9)}" for number, kind in enumerate((*CLASSES, "any") * 3)]
    rows = [row for name in names for row in _rows(name, _some_types(draw, 1))]
    _expect_classes(ask, [rows[k] for k in draw.permutation(len(rows))])


@labels.drawn("class_of_each_image", 1, "images of several types are left out")
def _(ask: Ask, draw: np.random.Generator) -> None:
    types = [_some_types(draw, most) for most in (1, 2, 3, 5) * 4] + [("epidural", "subdural"), TYPES]
    _expect_classes(ask, [row for one in types for row in _rows(_identifier(draw), one)])


@labels.drawn("class_of_each_image", 1, "rows that occur several times count once")
def _(ask: Ask, draw: np.random.Generator) -> None:
    images = [_rows(_identifier(draw), one) for one in ((), *((kind,) for kind in TYPES), *[()] * 5)]
    again = [images[k] for k in (0, *draw.choice(range(1, 6), 3, replace=False))]
    _expect_classes(ask, [row for image in (*images, *again, again[1]) for row in image])


@labels.drawn("class_of_each_image", 1, "rows that contradict each other are an error")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for types in ((), _some_types(draw, 1), ("epidural", "subdural")):
        rows = [row for one in (types, (), ("subarachnoid",)) for row in _rows(_identifier(draw), one)]
        name, value = rows[int(draw.integers(5))]
        rows.insert(int(draw.integers(len(rows) + 1)), (name, "10"[int(value)]))
        ask.expect_error(("ValueError",), "class_of_each_image", rows)


@labels.drawn("class_counts", 1, "any classes, of which some have no image")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for some in (CLASSES, draw.choice(CLASSES, 3, replace=False).tolist()):
        image_class = {_identifier(draw): str(draw.choice(some)) for _ in range(50)}
        counts = Counter(image_class.values())
        ask.expect({name: counts[name] for name in CLASSES}, "class_counts", image_class)


@labels.drawn("split", 1, "⌊N/4⌋ of each class for validation and test, the rest for training")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for sizes in ([403, 7, 18, 25, 3, 0], draw.integers(0, 60, 6)):
        classes = draw.permutation(np.repeat(np.arange(6), sizes))
        parts, called = _split(ask, classes, int(draw.integers(1000)))
        found = {part: np.bincount(classes[rows], minlength=6) for part, rows in parts.items()}
        wanted = {part: np.bincount(classes[rows], minlength=6) for part, rows in split_by_image(classes, 0).items()}
        for part in ("validation", "test", "train"):
            for index in np.flatnonzero(found[part] != wanted[part])[:1]:
                why = _other_quarter(np.bincount(classes, minlength=6), found)
                count = f"{found[part][index]} of the {sizes[index]} images of class {index}"
                raise Lost(f"{called} puts {count} into {part!r}, not {wanted[part][index]}{why}")


@labels.drawn("split", 1, "each image is in exactly one part")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for count in (1, 100, int(draw.integers(200, 300))):
        parts, called = _split(ask, draw.integers(0, 6, count), int(draw.integers(1000)))
        times = np.bincount(np.concatenate([parts[part] for part in PARTS]), minlength=count)
        for image in np.flatnonzero(times != 1)[:1]:
            where = " and ".join(repr(part) for part in PARTS for place in parts[part] if place == image)
            raise Lost(f"{called}: image {image} is in {where or 'no part'}")


@labels.drawn("split", 1, "the seed, and chance alone, decides which images go where")
def _(ask: Ask, draw: np.random.Generator) -> None:
    classes = np.repeat([0, 3], 20)
    first = int(draw.integers(1000))
    splits = []
    for seed in (first, *range(first, first + SEEDS)):
        parts, called = _split(ask, classes, seed)
        splits.append({part: set(rows.tolist()) for part, rows in parts.items()})
    if splits[0] != splits[1]:
        raise Lost(f"split(<array (40,) int64>, {first}), called twice, gives two different splits")
    if all(one == splits[0] for one in splits):
        raise Lost(f"{called} gives the same split as every other seed")
    for part in PARTS:
        never = set(range(40)) - set().union(*(one[part] for one in splits))
        if never:
            image = min(never)
            raise Lost(
                f"image {image} of 40, of the class {classes[image]}, is not in {part!r} under any of {SEEDS} seeds"
            )


@labels.given("leak", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    patients = ["A", "A", "A", "B", "B", "C", "C", "D", "D"]
    _expect_leak(ask, patients, {"train": [0, 3, 4, 8], "validation": [5, 7], "test": [1, 2, 6]})


@labels.drawn("leak", 1, "many patients, and a split that lets nothing through")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for patients in (40, 90):
        numbers = draw.integers(0, patients, 120)
        _expect_leak(
            ask, [f"P{one:03d}" for one in numbers], split_by_image(np.zeros(120, int), int(draw.integers(99)))
        )
    numbers = draw.integers(0, 8, 60)
    apart = {"train": numbers < 4, "validation": (numbers == 4) | (numbers == 5), "test": numbers > 5}
    _expect_leak(ask, [f"P{one}" for one in numbers], {part: np.flatnonzero(rows) for part, rows in apart.items()})


@labels.given("table_1", 1, "the printed table")
def _(ask: Ask, draw: np.random.Generator) -> None:
    twice = {"none": 4}
    images = {name: row["total"] - twice.get(name, 0) for name, row in table_1().items()}
    _expect_table(ask, images, twice)


@labels.drawn("table_1", 1, "other counts, several classes with images that are listed twice")
def _(ask: Ask, draw: np.random.Generator) -> None:
    images = {name: 4 * int(draw.integers(100, 9000)) + k % 4 for k, name in enumerate(CLASSES)}
    _expect_table(ask, images, {name: int(draw.integers(4, 30)) for name in CLASSES[1::2]})


def _identifier(draw: np.random.Generator) -> str:
    return f"ID_{draw.integers(16**8, 16**9):09x}"


def _some_types(draw: np.random.Generator, most: int) -> tuple[str, ...]:
    return tuple(map(str, draw.choice(TYPES, int(draw.integers(most + 1)), replace=False)))


def _rows(identifier: str, types: tuple[str, ...]) -> Rows:
    rows = [(f"{identifier}_{kind}", str(int(kind in types))) for kind in TYPES]
    return [*rows, (f"{identifier}_any", str(int(bool(types))))]


def _expect_classes(ask: Ask, rows: Rows) -> None:
    right = parse_labels(["ID,Label", *map(",".join, rows)], "rows")
    times = Counter(rows)
    first, last = ({key: str(types[k]) for key, types in right.multi_type.items()} for k in (0, -1))
    twice = {name.rpartition("_")[0] for (name, value), count in times.items() if value == "1" and count > 1}
    bleeding = {key: name for key, name in right.image_class.items() if name != "none"}
    known = {
        "an image of several types gets the first of them": right.image_class | first,
        "an image of several types gets the last of them": right.image_class | last,
        "an image of several types gets 'none'": right.image_class | dict.fromkeys(right.multi_type, "none"),
        "'any' is taken for a type, so that every bleed has two": {
            key: name for key, name in right.image_class.items() if name == "none"
        },
        "'any' is taken for the class": right.image_class | dict.fromkeys({**bleeding, **right.multi_type}, "any"),
        "an image without a hemorrhage is left out": bleeding,
        "a type in a row that occurs twice is counted as two": {
            key: name for key, name in right.image_class.items() if key not in twice
        },
        "what occurs more than once is left out": {
            key: name for key, name in right.image_class.items() if key not in right.duplicates
        },
    }
    ask.expect(right.image_class, "class_of_each_image", rows, known=known)


def _split(ask: Ask, classes: np.ndarray, seed: int) -> tuple[dict[str, np.ndarray], str]:
    """The student's split, as sorted arrays, and the call in words. Raises Lost if it is nothing like a split."""
    called = f"split(<array {classes.shape} {classes.dtype}>, {seed})"
    found = ask("split", classes, seed)
    if not isinstance(found, dict) or set(found) != set(PARTS):
        raise Lost(f"{called} must give a dict with the keys 'train', 'validation' and 'test'")
    parts = {}
    for part in PARTS:
        try:
            rows = np.array(list(found[part]))
        except (TypeError, ValueError):
            raise Lost(f"{called}: {part!r} must be an array of integers") from None
        rows = rows.astype(int) if rows.size == 0 else rows
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise Lost(f"{called}: {part!r} must be (n,) integers, not {rows.shape} of {rows.dtype}")
        if rows.size and not 0 <= rows.min() <= rows.max() < len(classes):
            raise Lost(f"{called}: {part!r} must hold places in `classes`, 0 … {len(classes) - 1}")
        parts[part] = np.sort(rows.astype(np.int64))
    return parts, called


def _other_quarter(sizes: np.ndarray, found: dict[str, np.ndarray]) -> str:
    others = {
        "a quarter is rounded up": -(-sizes // 4),
        "a quarter is rounded to nearest": np.round(sizes / 4).astype(int),
        "a class with fewer than four images gives one all the same": np.minimum(np.maximum(sizes // 4, 1), sizes),
    }
    for mistake, quarter in others.items():
        if np.array_equal(found["validation"], quarter) and np.array_equal(found["test"], quarter):
            return f"; this is what you get if {mistake}"
    if found["validation"].sum() == found["test"].sum() == sizes.sum() // 4:
        return "; this is what you get if all images are cut into quarters, not those of each class"
    return ""


def _expect_leak(ask: Ask, patients: list[str], parts: dict) -> None:
    parts = {part: np.asarray(rows) for part, rows in parts.items()}
    of = np.array(patients)
    train, validation, test = (of[parts[part]] for part in PARTS)
    right = float(np.isin(test, train).mean())
    known = {
        "patients are counted, not slices": np.isin(np.unique(test), train).mean(),
        "all patients are counted": len(np.intersect1d(test, train)) / len(np.unique(of)),
        "validation counts as seen": np.isin(test, [*train, *validation]).mean(),
        "it is the share of the training slices whose patient is in test": np.isin(train, test).mean(),
        "the slices are divided by all there are": np.isin(test, train).sum() / len(of),
        "the slices are not divided by how many there are": float(np.isin(test, train).sum()),
        "it is in per cent": 100 * right,
        "it is the share of the others": 1 - right,
    }
    known = {mistake: float(value) for mistake, value in known.items()}
    ask.expect(right, "leak", patients, parts, tolerance=1e-6, known=known)


def _expect_table(ask: Ask, images: dict[str, int], twice: dict[str, int]) -> None:
    def table(quarter, train=0, total=0) -> dict:  # `train` and `total`: times that the doubles count there
        rows = {}
        for name, count in images.items():
            again = twice.get(name, 0)
            part = quarter(count, again)
            inside = count - 2 * part + train * again
            rows[name] = {"train": inside, "validation": part, "test": part, "total": count + total * again}
        return rows

    quarters = {count: len(split_by_image(np.zeros(count, int), 0)["test"]) for count in images.values()}

    def cut_off(count: int, again: int) -> int:
        return quarters[count]

    known = {
        "doubles are not counted": table(cut_off),
        "doubles are counted in the total alone": table(cut_off, total=1),
        "doubles are counted in training alone": table(cut_off, train=1),
        "doubles are counted before the split": table(lambda count, again: (count + again) // 4, 1, 1),
        "a quarter is rounded to nearest": table(lambda count, again: round(count / 4), 1, 1),
        "a quarter is rounded up": table(lambda count, again: -(-count // 4), 1, 1),
    }
    ask.expect(table(cut_off, 1, 1), "table_1", images, twice, known=known)
