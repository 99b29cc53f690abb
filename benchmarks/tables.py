"""The tables of README.md and docs/methods/, from the files of results.

    python benchmarks/tables.py            # writes them
    python benchmarks/tables.py --check    # exit status 1 where one is out of date

A table stands between ``<!-- results:NAME -->`` and ``<!-- /results:NAME -->``, where NAME is
``random``, ``scaffold``, ``small_LABELS``, ``ablation``, ``probes``, ``throughput``, ``qm9``,
``finetuning_METHOD``, or ``pretraining_METHOD``.
"""

import argparse
import csv
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rows import Row, read_rows

from molweave.data.moleculenet import BENCHMARK_SETS
from molweave.metrics import METRICS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
METHOD_PAGES = ROOT / "docs" / "methods"
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "pretraining.md",
    *(METHOD_PAGES / f"{m}.md" for m in ("dmmrl", "mmsa", "moleblend")),
)

TITLES = {
    "bbbp": "BBBP",
    "bace": "BACE",
    "clintox": "ClinTox",
    "sider": "SIDER",
    "tox21": "Tox21",
    "esol": "ESOL",
    "freesolv": "FreeSolv",
    "lipo": "Lipophilicity",
}
BASELINES = {"forest": "random forest", "boosting": "LightGBM", "chemprop": "chemprop"}
MODELS = {"dmmrl": "DMMRL", "moleblend": "MoleBLEND", "mmsa": "MMSA", **BASELINES}
DIGITS = 3
EMPTY = "–"
NOTHING = "No results yet.\n"

_MARKED = re.compile(r"(<!-- results:(\w+) -->\n).*?(<!-- /results:\2 -->)", re.DOTALL)


def make_tables(results: Path) -> dict[str, str]:
    """Every table by name, as Markdown that ends with a line break."""
    rows = [row for path in sorted(results.glob("moleculenet_*.csv")) for row in read_rows(path)]
    random = [row for row in rows if row["split"].startswith("random")]
    scaffold = [row for row in rows if row["split"] == "scaffold"]
    scaffold += _fine_tuned(read_rows(results / "finetuning_moleblend.csv"))
    return {
        "random": scores_table(random, TITLES, model_name),
        "scaffold": scores_table(scaffold, TITLES, model_name),
        **{
            path.stem: scores_table(found := read_rows(path), _datasets(found), model_name)
            for path in sorted(results.glob("small_*.csv"))
        },
        "ablation": ablation_table(read_rows(results / "ablations.csv")),
        "probes": probes_table(results / "probes.csv"),
        "throughput": throughput_table(results / "throughput.csv"),
        "qm9": qm9_table(results / "qm9.csv"),
        **{
            f"finetuning_{method}": gain_table(read_rows(results / f"finetuning_{method}.csv"))
            for method in ("mmsa", "moleblend")
        },
        **{
            f"pretraining_{method}": pretraining_table(
                results / f"pretraining_ablations_{method}.csv"
            )
            for method in ("mmsa", "moleblend")
        },
    }


def _fine_tuned(rows: Iterable[Row]) -> list[Row]:
    """The runs from an encoder, as of one model whatever their numbers of epochs."""
    return [
        {**row, "preset": f"{row['preset'].partition(',')[0]}, fine-tuned"}
        for row in rows
        if row["pretrained"] != "none"
    ]


def model_name(row: Row) -> str:
    """How a model is called in a table."""
    parts = [MODELS.get(row["method"], row["method"]), row["preset"]]
    if row["pretrained"] != "none":
        parts.append(f"pre-trained {row['pretrained']}")
    return ", ".join(parts)


def scores_table(rows: Sequence[Row], datasets: Iterable[str], name: Callable[[Row], str]) -> str:
    """Mean and standard deviation of the test score per model and data set.

    The best mean is bold, among those of at least the usual number of runs.
    """
    if not rows:
        return NOTHING
    datasets = tuple(datasets)
    models = sorted({name(row): _rank(row) for row in rows}.items(), key=lambda item: item[1])
    cells: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        cells.setdefault((name(row), row["dataset"]), []).append(float(row["test"]))
    usual = statistics.mode(len(values) for values in cells.values())
    compared = {cell: values for cell, values in cells.items() if len(values) >= usual}
    best = {dataset: _best(dataset, compared) for dataset in datasets}
    lines = [_line(["model", *(TITLES[dataset] for dataset in datasets)])]
    lines.append(_line(["---"] * (1 + len(datasets))))
    lines.append(_line(["metric", *(_metric_title(dataset) for dataset in datasets)]))
    for model, _ in models:
        found = [(cells.get((model, dataset)), dataset) for dataset in datasets]
        lines.append(
            _line([model, *(_cell(values, dataset, best, usual) for values, dataset in found)])
        )
    caption = f"{_caption(usual)} Bold is the best mean of at least so many runs."
    return "\n".join([caption, "", *lines]) + "\n"


def ablation_table(rows: Sequence[Row]) -> str:
    """The ablations, the full model first, with the mean difference to it in brackets."""
    if not rows:
        return NOTHING
    datasets = _datasets(rows)
    labels = list(dict.fromkeys(row["preset"] for row in rows))
    labels.sort(key=lambda label: not label.endswith(":full"))
    full = {
        (row["dataset"], row["split"], row["seed"]): float(row["test"])
        for row in rows
        if row["preset"].endswith(":full")
    }
    usual = statistics.mode(Counter((row["preset"], row["dataset"]) for row in rows).values())
    lines = [_line(["model", *(TITLES[dataset] for dataset in datasets)])]
    lines.append(_line(["---"] * (1 + len(datasets))))
    lines.append(_line(["metric", *(_metric_title(dataset) for dataset in datasets)]))
    for label in labels:
        cells = []
        for dataset in datasets:
            mine = [row for row in rows if row["preset"] == label and row["dataset"] == dataset]
            text = _cell([float(row["test"]) for row in mine], dataset, {}, usual)
            paired = [
                float(row["test"]) - full[key]
                for row in mine
                if (key := (dataset, row["split"], row["seed"])) in full
            ]
            if paired and not label.endswith(":full"):
                text += f" ({_signed(statistics.mean(paired))})"
            cells.append(text)
        lines.append(_line([label, *cells]))
    caption = (
        f"{_caption(usual)} In brackets the mean difference to the full model, over the seeds that "
        "both have."
    )
    return "\n".join([caption, "", *lines]) + "\n"


def gain_table(rows: Sequence[Row]) -> str:
    """From scratch and pre-trained, and what each encoder gains on the same data set and seed.

    A gain is positive where pre-training is better: points of ROC-AUC, per cent of RMSE. It is over
    the row from scratch with the same words in the column preset, or else over any.
    """
    if not rows:
        return NOTHING
    datasets = _datasets(rows)
    scratch: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in rows:
        if row["pretrained"] == "none":
            scratch.setdefault(_run(row), {})[row["preset"]] = float(row["test"])
    lines = [scores_table(rows, datasets, model_name)]
    lines.append(_line(["gain over scratch", *(TITLES[dataset] for dataset in datasets)]))
    lines.append(_line(["---"] * (1 + len(datasets))))
    for model in dict.fromkeys(model_name(row) for row in rows if row["pretrained"] != "none"):
        mine = [row for row in rows if model_name(row) == model and _run(row) in scratch]
        gains = {
            dataset: [_gain(row, scratch[_run(row)]) for row in mine if row["dataset"] == dataset]
            for dataset in datasets
        }
        cells = [_gain_cell(gains[dataset], dataset) for dataset in datasets]
        lines.append(_line([model, *cells]))
    return "\n".join(lines) + "\n"


def _datasets(rows: Sequence[Row]) -> list[str]:
    """Those that some row has, in the order of `TITLES`."""
    return [dataset for dataset in TITLES if any(row["dataset"] == dataset for row in rows)]


def _run(row: Row) -> tuple[str, str, str]:
    return row["dataset"], row["split"], row["seed"]


def _gain(row: Row, from_scratch: Mapping[str, float]) -> float:
    """Over the run from scratch of the same preset, or else the last one of any."""
    scratch = from_scratch.get(row["preset"], list(from_scratch.values())[-1])
    change = float(row["test"]) - scratch
    greater = METRICS[BENCHMARK_SETS[row["dataset"]].metric].greater_is_better
    return 100 * change if greater else -100 * change / scratch


def _gain_cell(gains: Sequence[float], dataset: str) -> str:
    if not gains:
        return EMPTY
    greater = METRICS[BENCHMARK_SETS[dataset].metric].greater_is_better
    mean = statistics.mean(gains)
    return f"{'−' if mean < 0 else '+'}{abs(mean):.1f} {'points' if greater else '%'}"


def _read_any(path: Path) -> list[dict[str, str]]:
    """The rows of a file with columns of its own; none where it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def probes_table(path: Path) -> str:
    """Linear probes (one line per code and modality) and retrieval (one per pair) of a model."""
    rows = _read_any(path)
    if not rows:
        return NOTHING
    blocks = []
    for model in dict.fromkeys((row["model"], row["dataset"]) for row in rows):
        mine = [row for row in rows if (row["model"], row["dataset"]) == model]
        probes = [row for row in mine if not row["probe"].startswith("retrieval")]
        retrieval = [row for row in mine if row["probe"].startswith("retrieval")]
        told = f"{model[0]} on {model[1]}, {mine[0]['split']} split; probes on the test part"
        if retrieval:
            among = retrieval[0]["molecules"]
            told += f", retrieval among {among} molecules of validation and test"
        blocks.append(f"{told}:\n")
        blocks += [_pivot(part) for part in (probes, retrieval) if part]
    return "\n".join(blocks)


def _pivot(rows: Sequence[Mapping[str, str]]) -> str:
    columns = list(dict.fromkeys((row["probe"], row["metric"]) for row in rows))
    sources = list(dict.fromkeys((row["code"], row["modality"]) for row in rows))
    found = {(row["code"], row["modality"], row["probe"], row["metric"]): row for row in rows}
    lines = [_line(["code", "modality", *(f"{probe} ({metric})" for probe, metric in columns)])]
    lines.append(_line(["---"] * (2 + len(columns))))
    for source in sources:
        cells = [found.get((*source, *column)) for column in columns]
        scores = [EMPTY if cell is None else f"{float(cell['score']):.3f}" for cell in cells]
        lines.append(_line([*source, *scores]))
    return "\n".join(lines) + "\n"


def throughput_table(path: Path) -> str:
    """Molecules a second of one process and the share of every part of its work."""
    rows = _read_any(path)
    if not rows:
        return NOTHING
    shares = ("drawing", "featurizing", "network")
    head = ["model", "does", "device", "molecules/s", *shares, "GFLOP a molecule", "TFLOP/s"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        parts = {name: float(row[name]) for name in (*shares, "parsing", "collating")}
        parts["featurizing"] += parts["parsing"] + parts["collating"]
        device = f"{row['device']}{', bf16' if row['precision'] == 'bf16' else ''}"
        cells = [f"{MODELS[row['method']]}, {row['preset']}", row["stage"], device]
        cells += [row["per_second"], *(f"{parts[name]:.0%}" for name in shares)]
        lines.append(_line([*cells, row["gflop_per_molecule"], row["tflops"]]))
    return "\n".join(lines) + "\n"


def qm9_table(path: Path) -> str:
    """Test errors of every model, a column a target, whether learnt together or one by one."""
    rows = _read_any(path)
    if not rows:
        return NOTHING
    targets = list(dict.fromkeys((row["target"], row["unit"]) for row in rows))
    head = ["model", "molecules to train on", "seed", *(f"{name} ({u})" for name, u in targets)]
    fits: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows:
        fit = model_name(row), f"{int(row['train_molecules']):,}", row["seed"]
        fits.setdefault(fit, {})[row["target"]] = f"{float(row['test']):.4g}"
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [
        _line([*fit, *(of.get(name, EMPTY) for name, _ in targets)]) for fit, of in fits.items()
    ]
    return "\n".join(lines) + "\n"


def pretraining_table(path: Path) -> str:
    """Every variant of a pre-training: the end of its log, and probes of what it learnt."""
    rows = _read_any(path)
    if not rows:
        return NOTHING
    names = list(rows[0])
    measured = names[1 : names.index("seconds")]
    lines = [_line(["variant", *map(_measure_title, measured)])]
    lines.append(_line(["---"] * (1 + len(measured))))
    for row in rows:
        cells = [f"{float(row[name]):.3g}" if row[name] else EMPTY for name in measured]
        lines.append(_line([row["variant"], *cells]))
    return "\n".join(lines) + "\n"


def _measure_title(name: str) -> str:
    dataset, _, reads = name.partition(" ")
    if dataset in TITLES:
        title = f"{TITLES[dataset]} from {reads}" if reads else TITLES[dataset]
        return f"{title}, {_metric_title(dataset)}"
    return name.removeprefix("valid_").replace("_to_", " → ").replace("_", " ")


def _rank(row: Row) -> tuple[bool, int, str]:
    known = list(MODELS)
    method = row["method"]
    return method in BASELINES, known.index(method) if method in known else 0, str(row)


def _metric_title(dataset: str) -> str:
    metric = METRICS[BENCHMARK_SETS[dataset].metric]
    title = {"roc_auc": "ROC-AUC", "rmse": "RMSE"}[metric.name]
    return f"{title} {'↑' if metric.greater_is_better else '↓'}"


def _best(dataset: str, cells: Mapping[tuple[str, str], Sequence[float]]) -> str | None:
    means = [statistics.mean(values) for (_, name), values in cells.items() if name == dataset]
    if len(means) < 2:
        return None
    greater = METRICS[BENCHMARK_SETS[dataset].metric].greater_is_better
    return f"{max(means) if greater else min(means):.{DIGITS}f}"


def _cell(
    values: Sequence[float] | None,
    dataset: str,
    best: Mapping[str, str | None],
    usual: int,
) -> str:
    if not values:
        return EMPTY
    mean = f"{statistics.mean(values):.{DIGITS}f}"
    bold = mean == best.get(dataset) and len(values) >= usual
    text = f"**{mean}**" if bold else mean
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{DIGITS}f}"
    return text if len(values) == usual else f"{text} (n={len(values)})"


def _signed(value: float) -> str:
    return f"{'−' if round(value, DIGITS) < 0 else '+'}{abs(value):.{DIGITS}f}"


def _caption(usual: int) -> str:
    return (
        f"Test score, mean ± standard deviation (of a sample); n = {usual} runs where nothing else "
        "is said."
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def fill(text: str, tables: Mapping[str, str]) -> tuple[str, list[str]]:
    """A page with its tables replaced, and the names of those.

    Raises:
        SystemExit: a marker names no table.
    """
    filled: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match[2]
        if name not in tables:
            raise SystemExit(f"no table {name!r}; there are {', '.join(tables)}")
        filled.append(name)
        return f"{match[1]}\n{tables[name]}\n{match[3]}"

    return _MARKED.sub(replace, text), filled


def main(
    words: Sequence[str] | None = None, *, results: Path = RESULTS, pages: Sequence[Path] = PAGES
) -> int:
    """Write or check the tables; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(words).check
    tables = make_tables(results)
    status = 0
    for page in pages:
        if not page.exists():
            print(f"{page.name}: no such file")
            continue
        before = page.read_text(encoding="utf-8")
        after, filled = fill(before, tables)
        print(f"{page.name}: {', '.join(filled) or 'no markers'}")
        if after == before:
            continue
        if check:
            print(f"{page.name} is out of date: run python benchmarks/tables.py")
            status = 1
        else:
            temporary = page.with_name(f".{page.name}.new")
            temporary.write_text(after, encoding="utf-8")
            temporary.replace(page)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
