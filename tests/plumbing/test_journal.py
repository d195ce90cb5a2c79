import pytest

from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.journal import Journal


def test_what_is_appended_is_there_again_and_a_torn_line_is_cut(tmp_path):
    path = tmp_path / "journal.csv"
    journal = Journal(path, '{"seed": 1}', tmp_path)
    assert journal.rows == []
    journal.append([(1, "a,b"), (2, "ß")])
    assert Journal(path, '{"seed": 1}', tmp_path).rows == [["1", "a,b"], ["2", "ß"]]
    whole = path.read_bytes()
    path.write_bytes(whole + b"3,hal")
    assert Journal(path, '{"seed": 1}', tmp_path).rows == [["1", "a,b"], ["2", "ß"]]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", b"other\n1,2\n", b"\xff\xfe\n"])
def test_other_work_and_damage_are_refused(tmp_path, content):
    (tmp_path / "journal.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"holds unfinished work from another|damaged"):
        Journal(tmp_path / "journal.csv", "this", tmp_path)
