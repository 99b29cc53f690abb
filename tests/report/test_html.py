import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pages import Page
from sklearn import metrics

from molweave.report.data import ReportData
from molweave.report.html import DRAWN_TASKS, render_report, write_report

NAN = float("nan")


def page_of(data: ReportData) -> Page:
    return Page(render_report(data))


def test_page_is_complete_and_fetches_nothing(build_data):
    text = render_report(build_data(("classification", "regression"), members=2))
    page = Page(text)
    tags = {tag for tag, _, _ in page.elements}
    assert not tags & {"script", "iframe", "img", "object", "embed", "form"}
    links = page.values("href") + page.values("src") + page.values("xlink:href")
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "http" not in text
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    inner = {link[1:] for link in links if link.startswith("#")}
    inner |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert inner <= set(ids)
    headings = ["Data and split", "Learning curves", "Tasks", "Modality weights"]
    headings += ["Reproduce and cite", "Settings and versions"]
    assert page.texts("h2") == headings


def test_scores_are_those_of_sklearn_classification(build_data):
    data = build_data(("classification",) * 2, missing=0.2)
    page, part = page_of(data), data.parts[2]
    areas = []
    for column, task in enumerate(data.tasks):
        there = ~np.isnan(part.truth[:, column])
        truth, prediction = part.truth[there, column], part.prediction[there, column]
        expected = {
            "roc_auc": metrics.roc_auc_score(truth, prediction),
            "pr_auc": metrics.average_precision_score(truth, prediction),
            "mcc": metrics.matthews_corrcoef(truth, prediction >= 0.5),
            "log_loss": metrics.log_loss(truth, np.clip(prediction, 1e-15, 1 - 1e-15)),
            "brier": metrics.brier_score_loss(truth, prediction),
        }
        areas.append(expected["roc_auc"])
        for metric, value in expected.items():
            cell = page.texts("td", data_task=task.name, data_metric=metric)
            assert cell == [f"{value:.3f}"], metric
        captions = page.texts("figcaption")
        assert any(caption.startswith(f"Area {areas[-1]:.3f};") for caption in captions)
    assert page.texts("b", data_headline="roc_auc") == [f"{np.mean(areas):.3f}"]
    labels = int((~np.isnan(part.truth)).sum())
    assert f"test, mean over 2 of 2 tasks, {labels} labels" in page.texts(
        "span", **{"class": "over"}
    )


def test_scores_are_those_of_sklearn_regression(build_data):
    data = build_data(("regression",), members=3)
    page, part = page_of(data), data.parts[2]
    truth, prediction = part.truth[:, 0], part.prediction[:, 0]
    assert page.texts("b", data_headline="rmse") == [
        f"{metrics.root_mean_squared_error(truth, prediction):.3f}"
    ]
    assert page.texts("b", data_headline="r2") == [f"{metrics.r2_score(truth, prediction):.3f}"]
    inside = 100 * (np.abs(truth - prediction) <= 0.5).mean()
    assert any(
        text.startswith(f"{inside:.0f} % of the errors") for text in page.texts("figcaption")
    )
    titles = [title for title in page.texts("h4") if "Molecules" not in title]
    assert titles[-3:] == ["Prediction against truth", "Errors", "Error against predicted std"]


def test_worst_molecules_are_the_largest_errors_in_order(build_data):
    data = build_data(("regression",))
    part = data.parts[2]
    error = np.abs(part.truth - part.prediction)[:, 0]
    order = np.argsort(-error)[:8]
    page = page_of(data)
    rows = [text for text in page.texts("span") if text.startswith("row ")]
    assert rows == [f"row {part.rows[index]}" for index in order]
    assert page.values("title")[-8:] == [part.smiles[index] for index in order]
    drawn = [part.smiles[index] for index in order if len(part.smiles[index]) < 150]
    assert [label for label in page.values("aria-label") if label in part.smiles] == drawn
    assert len(drawn) < 8
    assert page.texts("div", **{"class": "blank"}) == ["not drawn"] * (8 - len(drawn))


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_text_of_the_user_is_escaped(build_data, kind):
    evil = "<script>alert('1')</script> & \"$x$\" {{ 7 * 7 }}"

    data = build_data((kind,), names=(evil,), title=evil, rejected={evil: 1}, audit=(evil,))
    data = replace(data, split_summary=(evil,), settings={"method": evil, evil: {"a": evil}})
    part = replace(data.parts[2], smiles=(evil,) * len(data.parts[2].smiles))
    text = render_report(replace(data, parts=(*data.parts[:2], part)))
    assert "<script" not in text
    page = Page(text)
    assert page.texts("h1") == [evil]
    assert page.texts("title") == [evil]
    assert evil in page.texts("h3")
    assert page.texts("li").count(evil) == 2
    assert page.texts("b").count(evil) == 1
    assert page.texts("code").count(evil) == 8 + 2


def test_many_tasks_have_a_full_table_and_few_figures(build_data):
    data = build_data(("classification",) * 27, missing=0.5)
    text = render_report(data)
    page = Page(text)
    assert len(page.texts("td", data_metric="roc_auc")) == 27
    drawn = [name for name in page.texts("h3") if name.startswith("task ")]
    assert drawn == [f"task {number}" for number in range(DRAWN_TASKS)]
    assert "Figures follow for the first 4 of 27 tasks." in " ".join(page.texts("p"))
    assert len(text) < 1_500_000


def test_one_class_only(build_data):
    def one_class(truth, prediction):
        truth[-30:, 0] = 1

    page = page_of(build_data(("classification", "classification"), change=one_class))
    assert page.texts("td", data_task="task 0", data_metric="roc_auc") == ["–"]
    assert page.texts("td", data_task="task 0", data_metric="accuracy") != ["–"]
    assert page.texts("h4").count("ROC curve") == 1
    warnings = page.texts("p", **{"class": "warn"})
    assert warnings == ["The test part has one class only: ROC curve and ROC-AUC are not defined."]
    over = page.texts("span", **{"class": "over"})
    assert "test, mean over 1 of 2 tasks, 30 labels" in over


def test_empty_test_part_falls_back_to_validation_and_says_so(build_data):
    data = build_data(("regression",), sizes=(40, 20, 0))
    page = page_of(data)
    truth, prediction = data.parts[1].truth[:, 0], data.parts[1].prediction[:, 0]
    rmse = metrics.root_mean_squared_error(truth, prediction)
    assert page.texts("b", data_headline="rmse") == [f"{rmse:.3f}"]
    assert "no test part" in page.texts("p", **{"class": "warn"})[0]
    assert "test part was read once" not in " ".join(page.texts("p"))
    assert page.texts("td", data_size="test") == ["0"]
    assert "There is no test molecule to show them for." in page.texts("p")


def test_nothing_to_score(build_data):
    page = page_of(build_data(("regression",), sizes=(40, 0, 0)))
    assert page.values("data-headline") == []
    assert "nothing to score" in page.texts("p", **{"class": "warn"})[0]


def test_task_without_labels_in_the_test_part(build_data):
    def forget(truth, prediction):
        truth[-30:, 1] = NAN

    page = page_of(build_data(("classification", "regression"), change=forget))
    assert page.texts("td", data_task="task 1", data_metric="rmse") == ["–"]
    assert page.texts("b", data_headline="rmse") == ["–"]
    assert "no label" in page.texts("td")
    assert any(
        "has both a label and a prediction" in text for text in page.texts("p", **{"class": "warn"})
    )


def test_predictions_that_are_not_finite(build_data):
    def diverge(truth, prediction):
        prediction[-2:, 0] = NAN, np.inf

    page = page_of(build_data(("regression",), change=diverge))
    assert page.texts("b", data_headline="rmse") == ["–"]
    assert any(
        text.startswith("2 predictions are not finite")
        for text in page.texts("p", **{"class": "warn"})
    )
    assert not any("nan" in text for text in page.texts("span"))


def test_learning_curves_show_every_term_and_the_chosen_epoch(build_data):
    page = page_of(build_data(("classification",)))
    assert page.texts("h4")[:4] == ["validation ROC-AUC ↑", "total loss", "property", "kl"]
    assert any("Epoch 4 of 9 was chosen." in text for text in page.texts("p"))
    page = page_of(build_data(("classification",), members=3))
    members = page.texts("span", **{"class": "member"})
    assert members == [f"member {n} (epoch {n + 3} of 9)" for n in (1, 2, 3)]


def test_data_section_counts(build_data):
    page = page_of(build_data(("classification",), missing=0.3))
    assert [page.texts("td", data_size=name) for name in ("train", "valid", "test")] == [
        ["40"],
        ["20"],
        ["30"],
    ]
    rows = page.texts("tr")
    assert rows.index("read: empty 7") < rows.index("parse: no molecule 3")
    assert "training.betas 0.9, 0.99" in " ".join(" ".join(rows).split())
    assert "None: every row could be used." in page_of(build_data(rejected={})).texts("p")


def test_modality_weights(build_data):
    weights = np.array([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5], [NAN, NAN]])
    rows = page_of(build_data(modality_weights=weights)).texts("tr")
    assert "graph 0.583 0.275 to 0.950 –" in rows
    assert "geometry 0.417 0.050 to 0.725 1" in rows


def test_shares_that_are_not_learnt_are_not_shown(build_data):
    page = page_of(build_data(modality_weights=None, modalities=("graph", "image")))
    assert "This model learns no shares. It reads graph, image." in page.texts("p")
    assert not any("leaned on" in words for words in page.texts("p"))


def test_constant_values_can_be_drawn(build_data):
    def flatten(truth, prediction):
        truth[:], prediction[:] = 2.0, 2.0

    data = build_data(("regression",), change=flatten, modality_weights=np.full((30, 2), 0.5))
    assert "Prediction against truth" in page_of(data).texts("h4")


def test_same_data_same_page(build_data):
    data = build_data(("classification", "regression"), members=2)
    assert render_report(data) == render_report(data)


def test_many_points_stay_small(build_data):
    data = build_data(("regression",), sizes=(10, 10, 6000), members=2)
    text = render_report(data)
    assert "data:image/png;base64," in text
    assert len(text) < 1_000_000


def test_a_failed_write_leaves_the_old_report(build_data, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(self, target):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            write_report(build_data(), path)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [
        ("report.html", "old")
    ]
    write_report(build_data(), path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert len(list(tmp_path.iterdir())) == 1
