import numpy as np
import pytest
from sklearn.metrics import root_mean_squared_error

from molweave.report.card import render_card, write_card
from molweave.report.templating import escape_markdown

RECORD = {
    "data": {
        "name": "a.csv",
        "rows": 100,
        "sha256": "ab" * 32,
        "rejected": {"parse: x": 2, "y": 1},
    },
    "split": {"kind": "scaffold", "seed": 3, "sha256": "cd" * 32},
    "seed": 5,
    "date": "2026-03-01",
    "versions": {"torch": "2.9", "rdkit": "2026.3.5"},
}


def front_matter(card: str) -> dict[str, object]:
    """The header as plain YAML of scalars and lists of scalars."""
    opening, header, _ = card.split("---\n", 2)
    assert opening == ""
    found: dict[str, object] = {}
    key = ""
    for line in header.splitlines():
        if line.startswith("- "):
            found.setdefault(key, []).append(line[2:].strip('"'))
        else:
            key, value = line.split(":", 1)
            if value:
                found[key] = value.strip()
    return found


def test_front_matter(build_data):
    header = front_matter(render_card(build_data(("classification", "regression")), RECORD))
    assert header["license"] == "other"
    assert header["library_name"] == "molweave"
    assert header["tags"][-2:] == ["classification", "regression"]
    assert {"roc_auc", "rmse"} <= set(header["metrics"])


def test_scores_and_provenance(build_data):
    data = build_data(("regression",))
    card = render_card(data, RECORD)
    part = data.parts[2]
    rmse = root_mean_squared_error(part.truth, part.prediction)
    row = next(line for line in card.splitlines() if line.startswith("| task 0 | 30 |"))
    assert row.split(" | ")[2] == f"{rmse:.3f}"
    for text in ("ab" * 32, "cd" * 32, "scaffold, seed 3", "torch 2.9", "Rejected rows: 3"):
        assert text in card
    assert "| task 0 | regression | task 0_pred |" in card
    assert "It has seen 40 training molecules." in card
    assert "30 labels only" in card
    assert card.isascii()


def test_tables_have_one_width(build_data):
    name = "a|b\n`<script>`_"
    card = render_card(build_data(("classification",) * 2, names=(name, "y")), RECORD)
    assert "<script" not in card
    blocks = [block for block in card.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 3
    for block in blocks:
        pipes = {line.replace("\\|", "").count("|") for line in block.splitlines()}
        assert len(pipes) == 1


def test_undefined_scores_and_no_scores(build_data):
    def one_class(truth, prediction):
        truth[-30:] = 0

    card = render_card(build_data(change=one_class), {})
    row = next(line for line in card.splitlines() if line.startswith("| task 0 | 30 |"))
    assert row.split(" | ")[2:4] == ["-", "-"]
    assert "there are no scores" in render_card(build_data(sizes=(40, 0, 0)), {})
    valid_only = render_card(build_data(sizes=(40, 20, 0)), {})
    assert "There is no test part with labels." in valid_only
    assert "read once" not in valid_only


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p_np", "p_np"),
        ("_x_", "\\_x\\_"),
        ("a*b|c", "a\\*b\\|c"),
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
        ("two\nlines", "two lines"),
        ("# head", "\\# head"),
    ],
)
def test_escape_markdown(text, expected):
    assert escape_markdown(text) == expected


def test_write_card(build_data, tmp_path):
    path = tmp_path / "README.md"
    data = build_data(title="α-synuclein", modality_weights=np.empty((0, 2)))
    write_card(data, RECORD, path)
    assert path.read_text(encoding="utf-8") == render_card(data, RECORD)
    assert "# α-synuclein\n" in path.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["README.md"]
