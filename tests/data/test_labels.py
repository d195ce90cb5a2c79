import pytest
from hypothesis import given
from hypothesis import strategies as st

from ich_jax.data.labels import CLASSES, TYPES, LabelsError, parse_labels, read_labels
from tests.make import write_labels


def rows(image_id="ID_a", **present):
    values = {kind: present.get(kind, 0) for kind in TYPES}
    values["any"] = present.get("any", int(any(value == 1 for value in values.values())))
    return [f"{image_id}_{kind},{value}" for kind, value in values.items()]


def parse(lines):
    return parse_labels(["ID,Label", *lines], "labels.csv")


def refusal(lines) -> str:
    with pytest.raises(LabelsError) as caught:
        parse(lines)
    assert "labels.csv" in str(caught.value)
    return str(caught.value)


def test_classes_are_in_the_papers_order():
    assert CLASSES == ("none", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")


def test_the_real_sample(rsna_sample):
    labels = read_labels(rsna_sample / "stage_2_train.csv")
    assert labels.class_counts() == {
        "none": 17,
        "epidural": 0,
        "intraparenchymal": 1,
        "intraventricular": 2,
        "subarachnoid": 1,
        "subdural": 1,
    }
    assert len(labels.multi_type) == 4
    assert labels.multi_type["ID_0fe31b044"] == ("intraparenchymal", "subarachnoid")
    assert labels.duplicates == ()


@given(st.lists(st.sets(st.sampled_from(TYPES)), min_size=1, max_size=30), st.randoms())
def test_every_image_ends_in_one_place_whatever_the_row_order(images, rng):
    lines = [line for k, types in enumerate(images) for line in rows(f"ID_{k}", **dict.fromkeys(types, 1))]
    rng.shuffle(lines)
    labels = parse(lines)
    assert len(labels.image_class) + len(labels.multi_type) == len(images)
    for k, types in enumerate(images):
        if len(types) > 1:
            assert set(labels.multi_type[f"ID_{k}"]) == types
        else:
            assert labels.image_class[f"ID_{k}"] == (types.pop() if types else "none")


def test_duplicates_count_once_and_are_listed():
    labels = parse(rows("ID_a") + rows("ID_b", subdural=1) + rows("ID_a"))
    assert labels.image_class == {"ID_a": "none", "ID_b": "subdural"}
    assert labels.duplicates == ("ID_a",)


def test_ids_split_on_the_last_underscore():
    assert parse(rows("a_b_any_c")).image_class == {"a_b_any_c": "none"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["ID_a_stroke,0"], ["row 2", "stroke"]),
        (["any,0"], ["row 2"]),
        ([*rows(), "ID_b_any,2"], ["row 8", "0 or 1", "'2'"]),
        ([*rows(), "ID_b_any,1.0"], ["row 8"]),
        ([*rows(), "ID_b_any"], ["row 8", "2 fields"]),
        ([*rows(), *rows(epidural=1)], ["row 8", "epidural"]),
        ([*rows(), *rows("ID_b")[:4]], ["row 11", "ID_b", "subdural, any"]),
        (rows(any=1), ["row 7", "'any'"]),
        (rows(epidural=1, any=0), ["row 7", "'any'"]),
        ([], ["no rows"]),
    ],
)
def test_mistakes_are_refused_with_their_row(lines, words):
    message = refusal(lines)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("text", ["", "ID;Label\n", "Label,ID\nx,y\n", "ID,Label,Extra\n"])
def test_another_header_is_refused(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelsError, match=r"row 1.*ID,Label"):
        read_labels(path)


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b"ID,Label\n\xff\xfe\x00")
    with pytest.raises(LabelsError, match="not a text file"):
        read_labels(path)


def test_write_and_read(tmp_path):
    types = {"ID_1": ("epidural",), "ID_2": (), "ID_3": ("epidural", "subdural")}
    labels = read_labels(write_labels(tmp_path / "labels.csv", types))
    assert labels.image_class == {"ID_1": "epidural", "ID_2": "none"}
    assert labels.multi_type == {"ID_3": ("epidural", "subdural")}
