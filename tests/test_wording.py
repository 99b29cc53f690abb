import pytest

from molweave.wording import counted


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
