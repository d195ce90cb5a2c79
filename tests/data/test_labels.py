import gzip
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ich_jax.data.labels import CLASSES, TYPES, LabelsError, bare_id, open_labels, parse_labels, read_labels
from tests.make import write_labels

KINDS = ",".join((*TYPES, "any"))


def rows(image_id="ID_a", **present):
    values = {kind: present.get(kind, 0) for kind in TYPES}
    values["any"] = present.get("any", int(any(value == 1 for value in values.values())))
    return [f"{image_id}_{kind},{value}" for kind, value in values.items()]


def parse(lines):
    return parse_labels(["ID,Label", *lines], "labels.csv")


def parse_wide(*lines):
    return parse_labels(lines, "labels.csv")


def refusal(read, *args) -> str:
    with pytest.raises(LabelsError) as caught:
        read(*args)
    message = str(caught.value)
    assert message.startswith("labels.csv")
    assert message == " ".join(message.split())  # one line, and nothing missing at its end
    return message


def read_bytes(data: bytes):
    return open_labels(io.BytesIO(data), "labels.csv")


def zipped(*members, data: bytes = b"", method=zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in members:
            archive.writestr(name, data)
    return buffer.getvalue()


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
        ([*rows(), "ID_b_any,1.00"], ["row 8", "0 or 1", "'1.00'"]),
        ([*rows(), "ID_b_any,"], ["row 8", "0 or 1", "''"]),
        ([*rows(), "ID_b_any"], ["row 8", "2 fields"]),
        ([*rows(), *rows(epidural=1)], ["row 8", "epidural of ID_a is 1 here and was 0 before"]),
        ([*rows(), *rows("ID_a.dcm", epidural="1.0")], ["row 8", "epidural of ID_a is 1 here and was 0 before"]),
        ([*rows(), *rows("ID_b")[:4]], ["row 11", "ID_b", "subdural, any"]),
        (rows(any=1), ["row 7", "'any'"]),
        (rows(epidural=1, any=0), ["row 7", "'any'"]),
        ([], ["no rows"]),
    ],
)
def test_mistakes_are_refused_with_their_row(lines, words):
    message = refusal(parse, lines)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("text", ["", "ID;Label\n", "Label,ID\nx,y\n", "ID,Label,Extra\n"])
def test_another_header_is_refused(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelsError, match=r"row 1.*ID,Label"):
        read_labels(path)


@pytest.mark.parametrize("header", ["id,label", " ID , Label "])
def test_the_header_in_other_case_and_with_spaces(header):
    assert parse_labels([header, *rows(epidural=1)], "labels.csv").image_class == {"ID_a": "epidural"}


def test_values_written_as_floats_in_the_long_form():
    assert parse(rows(epidural="1.0", subdural="0.0", any="1.0")).image_class == {"ID_a": "epidural"}


@pytest.mark.parametrize("ending", [".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".DCM", ".JpEg"])
def test_ids_lose_the_ending_of_a_file(ending):
    assert bare_id(f"ID_a{ending}") == "ID_a"
    assert parse(rows(f"ID_a{ending}")).image_class == {"ID_a": "none"}
    assert parse_wide("ID," + KINDS, f"ID_a{ending},0,0,0,0,0,0").image_class == {"ID_a": "none"}


@pytest.mark.parametrize("name", ["ID_a", "1.2.840.113", "a.dcm.txt", "dcm", ".dcm", "a.", ""])
def test_other_ids_stay_as_they_are(name):
    assert bare_id(name) == name


def test_the_wide_form_in_any_order_with_other_columns():
    header = ",Any,age,subdural, Epidural ,intraparenchymal,SUBARACHNOID,intraventricular,Image_ID"
    labels = parse_wide(header, "0,1,70,0,1,0,0,0,a", "1,1.0,,1.0,0.0,0,0,1,b", "", "2,0,9,0,0,0,0,0,c")
    assert labels.image_class == {"a": "epidural", "c": "none"}
    assert labels.multi_type == {"b": ("intraventricular", "subdural")}
    assert labels.notes == ("labels.csv: columns ignored: (no name), age",)


@pytest.mark.parametrize(
    "column", ["ID", "image", "image_id", "ImageID", "filename", "File", "SOPInstanceUID", "sop_instance_uid"]
)
def test_the_names_of_the_id_column(column):
    labels = parse_wide(f"{KINDS},{column}", "0,0,0,0,1,1,ID_a")
    assert labels.image_class == {"ID_a": "subdural"}
    assert labels.notes == ()


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from(TYPES)), min_size=1))
def test_both_forms_say_the_same(images):
    long = parse([line for image, types in images.items() for line in rows(image, **dict.fromkeys(types, 1))])
    wide = [[image, *(int(kind in types) for kind in TYPES), int(bool(types))] for image, types in images.items()]
    assert parse_wide(f"ID,{KINDS}", *(",".join(map(str, row)) for row in wide)) == long


def test_duplicates_in_the_wide_form():
    labels = parse_wide(f"ID,{KINDS}", "b,0,0,0,0,0,0", "a,1,0,0,0,0,1", "a.dcm,1,0.0,0,0,0,1.0")
    assert labels.image_class == {"b": "none", "a": "epidural"}
    assert labels.duplicates == ("a",)


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        (KINDS, "", "row 1: needs one ID column (id or image or image_id"),
        (f"ID,Image,{KINDS}", "", ", found id, image"),
        (f"ID,{KINDS}, Subdural", "", "row 1: several columns 'subdural'"),
        (f"ID,{KINDS.replace('subdural,', '')}", "", "row 1: no column 'subdural'"),
        (f"ID,{TYPES[0]},Label", "", "row 1: no column 'intraparenchymal'"),
        (f"ID,{KINDS}", "", "has a header and no rows"),
        (f"ID,{KINDS}", "a,0,0,0,0,0", "row 2: expected 7 fields, found 6"),
        (f"ID,{KINDS}", "a,0,0,0,0,0,0,", "row 2: expected 7 fields, found 8"),
        (f"ID,{KINDS}", ",0,0,0,0,0,0", "row 2: the ID is empty"),
        (f"ID,{KINDS}", "a,0,0,0,0,0.5,1", "row 2: subdural of a must be 0 or 1, found '0.5'"),
        (f"ID,{KINDS}", "a,0,0,0,0,0,1", "row 2: for a, 'any' is not the OR"),
        (f"ID,{KINDS}", "a,0,0,0,1,0,0", "row 2: for a, 'any' is not the OR"),
        (f"ID,{KINDS}", "a,0,0,0,1,0,1\na,0,0,0,0,0,0", "row 3: subarachnoid of a is 0 here and was 1 before"),
    ],
)
def test_mistakes_in_the_wide_form(header, line, message):
    assert message in refusal(parse_wide, header, *line.splitlines())


TEXT = "\n".join(["ID,Label", *rows("ID_a", subdural=1), *rows("ID_b"), ""])
CONTAINERS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zip": lambda data: zipped("folder/labels.CSV", data=data),
    "zip of macOS": lambda data: zipped("labels.csv", "__MACOSX/labels.csv", "._labels.csv", "read.me", data=data),
}


@pytest.mark.parametrize("pack", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
def test_every_container_and_line_end(tmp_path, pack, end, mark):
    data = pack(mark + TEXT.replace("\n", end).encode())
    path = tmp_path / "labels.csv"  # the content tells, not the name
    path.write_bytes(data)
    with zipfile.ZipFile(io.BytesIO(zipped("member", data=data))) as archive, archive.open("member") as member:
        assert read_labels(path) == open_labels(member, "labels.csv")
        assert not member.closed
    assert read_labels(path).image_class == {"ID_a": "subdural", "ID_b": "none"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding(encoding):
    assert "not a text file in UTF-8" in refusal(read_bytes, TEXT.encode(encoding))


def test_a_letter_in_another_encoding():
    assert "not a text file in UTF-8" in refusal(read_bytes, TEXT.replace("ID_b", "ID_ü").encode("latin-1"))


def changed(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + bytes([value]) + data[place + 1 :]


GZIP = gzip.compress(TEXT.encode(), mtime=0)
STORED = zipped("labels.csv", data=TEXT.encode() + b"\n" * 2**15, method=zipfile.ZIP_STORED)
DIRECTORY = STORED.index(
    b"PK\x01\x02"
)  # PKWARE APPNOTE 4.3.12: version at 6, flags at 8, method at 10, sizes at 20 and 24


UNFIT = {
    "gzip cut off": (GZIP[:-9], "damaged"),
    "gzip cut off in its header": (GZIP[:4], "damaged"),
    "gzip with a wrong byte": (changed(GZIP, 10, 255), "damaged"),
    "gzip with a wrong checksum": (changed(GZIP, len(GZIP) - 5, GZIP[-5] ^ 1), "damaged"),
    "zip cut off": (STORED[:-30], "damaged"),
    "zip with a wrong byte": (changed(STORED, STORED.index(b"epidural,0") + 9, ord("2")), "damaged"),  # not: row 2
    "zip with a wrong offset": (changed(STORED, len(STORED) - 3, 1), "damaged"),
    "zip with wrong sizes": (changed(changed(STORED, DIRECTORY + 23, 1), DIRECTORY + 27, 1), "damaged"),
    "zip of a version to come": (changed(STORED, DIRECTORY + 6, 255), "damaged"),
    "encrypted zip": (changed(STORED, DIRECTORY + 8, 1), "is encrypted"),
    "zip by another method": (changed(STORED, DIRECTORY + 10, zipfile.ZIP_LZMA), "unusual way"),
    "empty zip": (zipped(), "exactly one .csv file, found 0"),
    "zip without a CSV": (zipped("a.txt", "__MACOSX/a.csv", "a/._b.csv"), "exactly one .csv file, found 0"),
    "zip with two": (zipped("a.csv", "b/c.CSV"), "exactly one .csv file, found 2"),
}


@pytest.mark.parametrize(("data", "message"), UNFIT.values(), ids=UNFIT)
def test_damaged_and_unfit_containers(data, message):
    assert message in refusal(read_bytes, data)


def test_write_and_read(tmp_path):
    types = {"ID_1": ("epidural",), "ID_2": (), "ID_3": ("epidural", "subdural")}
    labels = read_labels(write_labels(tmp_path / "labels.csv", types))
    assert labels.image_class == {"ID_1": "epidural", "ID_2": "none"}
    assert labels.multi_type == {"ID_3": ("epidural", "subdural")}
