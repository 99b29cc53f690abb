import pytest

from molweave.wording import counted, did_you_mean, nearest


@pytest.mark.parametrize(
    ("number", "arguments", "text"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (2039, ("row",), "2,039 rows"),
        (1, ("class", "classes"), "1 class"),
        (2, ("class", "classes"), "2 classes"),
    ],
)
def test_counted(number, arguments, text):
    assert counted(number, *arguments) == text


def test_nearest():
    assert nearest("LogS", ["smiles", "logS_exp", "logs"]) == "logs"
    assert nearest("activty", ["Activity", "smiles"]) == "Activity"
    assert nearest("zzz", ["Activity", "smiles"]) is None
    assert nearest("x", []) is None


def test_did_you_mean():
    assert did_you_mean("activty", ["Activity", "smiles"]) == "; did you mean 'Activity'?"
    assert did_you_mean("zzz", ["Activity", "smiles"]) == ""
