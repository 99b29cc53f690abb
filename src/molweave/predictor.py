"""The facade: fit, predict, embed, evaluate, save and load in one object."""

import inspect
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from molweave.chem.table import Table
from molweave.data.scores import Scores, read_scores
from molweave.data.trained_on import TrainedOn
from molweave.errors import UserError
from molweave.events import Events
from molweave.inference.embeds import Embeds
from molweave.inference.evaluate import Evaluation, describe_absent, evaluate_table
from molweave.inference.predict import columns_of, predict_file, predict_rows
from molweave.inference.source import as_table, molecules_of, row_counter, table_to_write
from molweave.inference.stream import Runner, pick_device
from molweave.inference.summary import PredictSummary, Tally
from molweave.methods.checkpoint import FittedModel, read_model, write_model
from molweave.methods.folder import (
    MODEL_FILES,
    NETWORK_FILES,
    check_folder,
    read_checksum,
    replace_folder,
)
from molweave.methods.pretrained import shipped_encoders
from molweave.methods.spec import KINDS
from molweave.paths import exists, list_folder
from molweave.training.option_checks import explain_unknown
from molweave.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from molweave.training.pipeline import FitResult


class Predictor(Embeds):
    """A property predictor for molecules.

    Example:
        >>> model = Predictor().fit("train.csv", targets=["p_np"], split="scaffold")
        >>> table = model.predict(["CCO", "c1ccccc1O"])
    """

    @explain_unknown
    def __init__(
        self,
        *,
        method: str = "auto",
        preset: str = "auto",
        modalities: str | Sequence[str] | None = None,
        method_options: Mapping[str, object] | None = None,
        training: Mapping[str, object] | None = None,
        kinds: str | Mapping[str, str] | None = None,
        ensemble: int = 1,
        seed: int = 0,
        device: str = "auto",
        standardize: str = "default",
        conformers: str = "input",
        workers: int = 0,
        pretrained: str | Path | None = None,
        freeze: bool = False,
    ) -> None:
        """Choose how to fit; see `molweave.training.options.FitOptions` for every field."""
        self.options: dict[str, Any] = {
            "method": method,
            "preset": preset,
            "modalities": _names(modalities),
            "method_options": _settings("method_options", method_options),
            "training": _settings("training", training),
            "kinds": kinds,
            "ensemble": ensemble,
            "seed": seed,
            "device": device,
            "standardize": standardize,
            "conformers": conformers,
            "workers": workers,
            "pretrained": None if pretrained is None else str(pretrained),
            "freeze": freeze,
        }
        self._runner: Runner[FittedModel] | None = None
        self._folder: Path | None = None
        self._checksum: str | None = None
        self._result: FitResult | None = None

    def fit(
        self,
        data: "str | Path | pd.DataFrame | Table",
        targets: str | Sequence[str],
        *,
        split: str = "scaffold",
        smiles_column: str | None = None,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        events: Events | None = None,
    ) -> Self:
        """Fit on a labelled table.

        Args:
            data: a file (CSV, TSV, SMI, SDF, Parquet; gzipped too), a DataFrame or a `Table`.
            targets: the column or columns to predict; empty fields are missing labels.
            split: what to choose on and what to test on: ``scaffold``, ``scaffold-balanced``,
                ``random``, ``k-fold:I/K``, ``column:NAME`` or ``file:PATH``.
            smiles_column: where the SMILES are; None looks for the usual names.
            out: model folder to write, with report; None keeps the model in memory.
            resume: go on with an interrupted fit of the same command.
            overwrite: whether ``out`` may exist, and whether an interrupted fit may be forgotten.
            events: told of the progress.

        Raises:
            UserError: data or options that cannot be used; says what to do.
        """
        from molweave.training.options import FitOptions
        from molweave.training.pipeline import fit_table
        from molweave.training.state import checkpoint_of, remove_states

        if self._result is None and self._runner is not None:
            raise UserError(
                "this model was loaded, and fit would start another one; make a new Predictor with "
                "the settings that you want (info()['record']['command'] has those of this one)"
            )
        names = _column_names(targets)
        options = FitOptions(**self.options, split=split)
        pick_device(options.device)
        folder = None if out is None else Path(out)
        if folder is None and resume:
            raise UserError("resume needs out: the checkpoint is kept beside the model folder")
        if folder is not None:
            check_folder(folder, overwrite=overwrite)
        checkpoint = None if folder is None else checkpoint_of(folder)
        self._result = fit_table(
            as_table(data, smiles_column),
            names,
            options,
            checkpoint=checkpoint,
            resume=resume,
            overwrite=overwrite,
            events=events,
        )
        self._use(self._result.model, options.device, options.workers)
        if folder is not None and checkpoint is not None:
            self.save(folder, overwrite=overwrite)
            remove_states(checkpoint, "fit")
        return self

    def predict(
        self,
        data: "str | Path | Sequence[str] | pd.DataFrame",
        *,
        smiles_column: str | None = None,
        details: bool = False,
        prefix: str = "",
    ) -> "pd.DataFrame":
        """Predictions for every row, in order.

        Args:
            data: a list of SMILES, a DataFrame, or a file.
            smiles_column: where the SMILES are; None looks for the usual names.
            details: add the weight of every modality.
            prefix: precedes the names of the new columns, to tell those of several models apart.

        Returns:
            The input's columns, as they were, and those of `PredictionColumns`, with the index of
            a DataFrame or Series.

        Raises:
            UserError: not fitted, or data that cannot be read; says what to do.
        """
        import pandas as pd

        table = molecules_of(data, smiles_column)
        columns = columns_of(self.runner, table, details=details, prefix=prefix)
        added = columns.names
        rows = list(predict_rows(self.runner, table, columns, tally=Tally()))
        frame = pd.DataFrame(rows, columns=[*table.columns, *added], dtype=object)
        if isinstance(data, pd.DataFrame | pd.Series):
            frame.index = data.index
        found = frame[added].astype(dict.fromkeys(columns.numbers, float))
        if not isinstance(data, pd.DataFrame):
            data = frame[list(table.columns)]
            data = data.assign(**{name: _infer(data[name]) for name in table.columns})
        return data.assign(**{name: found[name] for name in added})

    def predict_file(
        self,
        data: "str | Path | Sequence[str] | pd.DataFrame",
        out: str | Path,
        *,
        smiles_column: str | None = None,
        details: bool = False,
        prefix: str = "",
        overwrite: bool = False,
        events: Events | None = None,
    ) -> PredictSummary:
        """Predict a table of any length into a file, in constant memory; see `predict`."""
        return predict_file(
            self.runner,
            table_to_write(data, out, smiles_column),
            out,
            details=details,
            prefix=prefix,
            overwrite=overwrite,
            on_row=row_counter(events, "predicting"),
        )

    def evaluate(
        self,
        data: "str | Path | pd.DataFrame",
        *,
        smiles_column: str | None = None,
        events: Events | None = None,
    ) -> Evaluation:
        """Compare predictions with those target columns of the model that a labelled table has.

        `Evaluation.absent` names the others, and `Evaluation.trained_on` counts the rows that the
        model has seen in training.
        """
        table = as_table(data, smiles_column)
        on_row = row_counter(events, "predicting")
        found = evaluate_table(self.runner, table, trained_on=self._trained_on(), on_row=on_row)
        if found.absent:
            targets = [task.name for task in self.model.spec.tasks]
            (events or Events()).message(describe_absent(targets, table.columns))
        return found

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the model folder; right after `fit` with metrics, split, history and report."""
        folder = Path(folder)
        with replace_folder(folder, overwrite=overwrite) as fresh:
            if self._result is not None:
                from molweave.report.folder import write_fit

                write_fit(self._result, fresh)
            elif (source := self._find_folder()) is not None:
                beside = MODEL_FILES - NETWORK_FILES
                for name in beside & {path.name for path in list_folder(source)}:
                    shutil.copyfile(source / name, fresh / name)
            write_model(self.runner.model, fresh)
        self._belongs_to(folder)

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto", workers: int = 0) -> "Predictor":
        """Load a model folder.

        Raises:
            UserError: not a model folder (says so where it is the name of an encoder that ships),
                damaged, or of another format version.
        """
        if not exists(Path(folder)) and str(folder) in shipped_encoders():
            found, use = KINDS["encoder"]
            raise UserError(f"{folder} is {found} that ships, not {KINDS['model'][0]}; {use}")
        model = read_model(Path(folder))
        spec = model.spec
        predictor = cls(method=spec.method, preset=spec.preset, device=device, workers=workers)
        predictor._use(model, device, workers)
        predictor._belongs_to(Path(folder))
        return predictor

    @property
    def runner(self) -> Runner[FittedModel]:
        """The fitted model on its device.

        Raises:
            UserError: not fitted yet.
        """
        if self._runner is None:
            raise UserError("this Predictor is not fitted; call fit first, or Predictor.load")
        return self._runner

    @property
    def model(self) -> FittedModel:
        """The fitted networks and their specification."""
        return self.runner.model

    @property
    def metrics(self) -> Scores:
        """The scores of the fit, ``{part: {task: {metric: value}}, "mean": ...}``: metrics.json.

        Empty for a model whose folder has no metrics.json, or holds another model by now.

        Raises:
            UserError: not fitted yet, or metrics.json is damaged.
        """
        _ = self.runner
        if self._result is not None:
            return self._result.scores
        folder = self._find_folder()
        return {} if folder is None else read_scores(_from_here(folder))

    def info(self) -> dict[str, Any]:
        """Specification, record, number of parameters and scores, as plain values."""
        model = self.model
        parameters = sum(p.numel() for p in model.members[0].parameters())
        return {
            **model.spec.to_json(),
            "parameters_per_member": parameters,
            "scores": self.metrics,
        }

    def __repr__(self) -> str:
        if self._runner is None:
            defaults = inspect.signature(type(self)).parameters
            changed = [
                f"{name}={value!r}"
                for name, value in self.options.items()
                if value not in (defaults[name].default, {})
            ]
            return f"Predictor({', '.join(changed)})"
        spec = self.model.spec
        tasks = ", ".join(f"{task.name} ({task.kind})" for task in spec.tasks[:3])
        more = f" and {len(spec.tasks) - 3} more" if len(spec.tasks) > 3 else ""
        networks = counted(spec.members, "network")
        views = ", ".join(spec.modality_names)
        return (
            f"<Predictor of {tasks}{more}: {spec.method}, preset {spec.preset}, {networks}, "
            f"from {views}>"
        )

    def _trained_on(self) -> TrainedOn | None:
        if self._result is not None:
            data, split = self._result.data, self._result.split
            return TrainedOn.of(data.molecules[position].canonical for position in split.train)
        folder = self._find_folder()
        return None if folder is None else TrainedOn.read(folder)

    def _belongs_to(self, folder: Path) -> None:
        self._folder, self._checksum = folder.absolute(), read_checksum(folder)

    def _find_folder(self) -> Path | None:
        """The folder of this model, unless it is gone or holds another model by now."""
        if self._folder is None or read_checksum(self._folder) != self._checksum:
            return None
        return self._folder

    def _use(self, model: FittedModel, device: str, workers: int) -> None:
        self._runner = Runner(model, device=device, workers=workers)


def _from_here(folder: Path) -> Path:
    """A folder as messages call it: from the working folder where it is below it."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return folder
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _infer(column: "pd.Series") -> "pd.Series":
    """A column of Python values with the type that holds them all as they are."""
    from pandas.api.types import infer_dtype

    if infer_dtype(column, skipna=True) == "integer" and column.isna().any():
        return column.astype("Int64" if column.max() < 2**63 else "UInt64")
    return column.infer_objects()


def _settings(name: str, given: Mapping[str, object] | None) -> dict[str, object]:
    """Fields and values; refuses what is no mapping."""
    if given is not None and not isinstance(given, Mapping):
        raise UserError(f"{name} is a mapping of settings to values; found {given!r}")
    return dict(given or {})


def _column_names(targets: object) -> list[str]:
    """The targets as a list; refuses values in the place of names."""
    given = [targets] if isinstance(targets, str) or not isinstance(targets, Iterable) else targets
    names = []
    for name in given:
        if not isinstance(name, str):
            raise UserError(
                f"targets must name columns of the data; found {type(name).__name__}; put SMILES "
                "and values into one DataFrame, or use the estimators of molweave.sklearn"
            )
        names.append(name)
    return names


def _names(modalities: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(modalities, str):
        modalities = modalities.split(",")
    return None if modalities is None else tuple(name.strip() for name in modalities)
