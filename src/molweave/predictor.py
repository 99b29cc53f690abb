"""The facade: fit, predict, embed, evaluate, save and load in one object."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from molweave.chem.read import open_table, table_from_frame, table_from_smiles
from molweave.chem.table import Table
from molweave.chem.write import refuse_same_file
from molweave.errors import UserError
from molweave.events import Events
from molweave.inference.embed import embed_array, embed_file
from molweave.inference.evaluate import Evaluation, evaluate_table
from molweave.inference.predict import columns_of, predict_file, predict_rows
from molweave.inference.stream import Runner, pick_device
from molweave.inference.summary import OnRow, PredictSummary, Tally
from molweave.methods.checkpoint import FittedModel, read_model, write_model
from molweave.methods.folder import MODEL_FILES, check_folder, replace_folder

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from molweave.training.pipeline import FitResult


class Predictor:
    """A property predictor for molecules.

    Example:
        >>> model = Predictor().fit("train.csv", targets=["p_np"], split="scaffold")
        >>> table = model.predict(["CCO", "c1ccccc1O"])
    """

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
    ) -> None:
        """Choose how to fit; see `molweave.training.options.FitOptions` for every field."""
        self.options: dict[str, Any] = {
            "method": method,
            "preset": preset,
            "modalities": _names(modalities),
            "method_options": dict(method_options or {}),
            "training": dict(training or {}),
            "kinds": kinds,
            "ensemble": ensemble,
            "seed": seed,
            "device": device,
            "standardize": standardize,
            "conformers": conformers,
            "workers": workers,
        }
        self._runner: Runner | None = None
        self._folder: Path | None = None
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
            data: a file (CSV, TSV, SMI, SDF, Parquet; gzipped text too), a DataFrame or a `Table`.
            targets: the column or columns to predict; empty fields are missing labels.
            split: what to choose on and what to test on: ``scaffold``, ``scaffold-balanced``,
                ``random``, ``k-fold:I/K``, ``column:NAME`` or ``file:PATH``.
            smiles_column: where the SMILES are; None looks for the usual names.
            out: model folder to write, with report; None keeps the model in memory.
            resume: go on with an interrupted fit of the same command.
            overwrite: whether ``out`` may exist.
            events: told of the progress.

        Raises:
            UserError: data or options that cannot be used; says what to do.
        """
        from molweave.training.options import FitOptions
        from molweave.training.pipeline import fit_table

        options = FitOptions(**self.options, split=split)
        pick_device(options.device)
        folder = None if out is None else Path(out)
        if folder is not None:
            check_folder(folder, overwrite=overwrite)
        names = [targets] if isinstance(targets, str) else list(targets)
        checkpoint = None if folder is None else folder.parent / f"{folder.name}.training"
        self._result = fit_table(
            _table(data, smiles_column),
            names,
            options,
            checkpoint=checkpoint,
            resume=resume,
            events=events,
        )
        self._use(self._result.model, options.device, options.workers)
        if folder is not None and checkpoint is not None:
            self.save(folder, overwrite=overwrite)
            shutil.rmtree(checkpoint, ignore_errors=True)
        return self

    def predict(
        self,
        data: "str | Path | Sequence[str] | pd.DataFrame",
        *,
        smiles_column: str | None = None,
        details: bool = False,
    ) -> "pd.DataFrame":
        """Predictions for every row, in order.

        Args:
            data: a list of SMILES, a DataFrame, or a file.
            smiles_column: where the SMILES are; None looks for the usual names.
            details: add the weight of every modality.

        Returns:
            The input's columns and those of `PredictionColumns`, with the index of a DataFrame.
        """
        import pandas as pd

        table = _table(data, smiles_column)
        added = columns_of(self.runner, table, details=details).names
        rows = list(predict_rows(self.runner, table, details=details, tally=Tally()))
        frame = pd.DataFrame(rows, columns=[*table.columns, *added])
        text = ["missing", "error"]
        numbers = [name for name in added if name not in text]
        frame[numbers] = frame[numbers].astype(float)
        frame[text] = frame[text].astype(object).where(frame[text].notna(), None)
        if isinstance(data, pd.DataFrame):
            frame.index = data.index
        return frame

    def predict_file(
        self,
        data: "str | Path | Sequence[str] | pd.DataFrame",
        out: str | Path,
        *,
        smiles_column: str | None = None,
        details: bool = False,
        overwrite: bool = False,
        events: Events | None = None,
    ) -> PredictSummary:
        """Predict a table of any length into a file, in constant memory; see `predict`."""
        table = _table_for(data, out, smiles_column)
        on_row = _row_counter(events, "predicting")
        return predict_file(
            self.runner, table, out, details=details, overwrite=overwrite, on_row=on_row
        )

    def embed(
        self,
        data: "str | Path | Sequence[str] | pd.DataFrame",
        *,
        smiles_column: str | None = None,
    ) -> "np.ndarray":
        """The learned representation of every row: float32 (rows, d), NaN where rejected."""
        return embed_array(self.runner, _table(data, smiles_column))

    def embed_file(
        self,
        data: "str | Path | Sequence[str] | pd.DataFrame",
        out: str | Path,
        *,
        smiles_column: str | None = None,
        overwrite: bool = False,
        events: Events | None = None,
    ) -> PredictSummary:
        """Embed a table of any length into a Parquet file, in constant memory."""
        table = _table_for(data, out, smiles_column)
        on_row = _row_counter(events, "embedding")
        return embed_file(self.runner, table, out, overwrite=overwrite, on_row=on_row)

    def evaluate(
        self,
        data: "str | Path | pd.DataFrame",
        *,
        smiles_column: str | None = None,
        events: Events | None = None,
    ) -> Evaluation:
        """Compare predictions with the target columns of a labelled table."""
        table = _table(data, smiles_column)
        return evaluate_table(self.runner, table, on_row=_row_counter(events, "predicting"))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the model folder; right after `fit` with metrics, split, history and report."""
        folder = Path(folder)
        with replace_folder(folder, overwrite=overwrite) as fresh:
            if self._result is not None:
                from molweave.report.folder import write_fit

                write_fit(self._result, fresh)
            elif self._folder is not None and self._folder.exists():
                for name in MODEL_FILES & {path.name for path in self._folder.iterdir()}:
                    shutil.copy(self._folder / name, fresh / name)
            write_model(self.runner.model, fresh)
        self._folder = folder

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto", workers: int = 0) -> "Predictor":
        """Load a model folder.

        Raises:
            UserError: not a model folder, damaged, or of another format version.
        """
        model = read_model(Path(folder))
        spec = model.spec
        predictor = cls(method=spec.method, preset=spec.preset, device=device, workers=workers)
        predictor._use(model, device, workers)
        predictor._folder = Path(folder)
        return predictor

    @property
    def runner(self) -> Runner:
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

    def info(self) -> dict[str, Any]:
        """Specification, record and number of parameters, as plain values."""
        model = self.model
        parameters = sum(p.numel() for p in model.members[0].parameters())
        return {**model.spec.to_json(), "parameters_per_member": parameters}

    def _use(self, model: FittedModel, device: str, workers: int) -> None:
        self._runner = Runner(model, device=device, workers=workers)


def _names(modalities: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(modalities, str):
        modalities = modalities.split(",")
    return None if modalities is None else tuple(name.strip() for name in modalities)


def _table_for(data: Any, out: str | Path, smiles_column: str | None) -> Table:
    """The input as a table, unless it is the file that would be written."""
    if isinstance(data, str | Path):
        refuse_same_file(data, out)
    return _table(data, smiles_column)


def _table(data: Any, smiles_column: str | None) -> Table:
    """A table, a file, a DataFrame or a list of SMILES as a table."""
    if isinstance(data, Table):
        return data
    if isinstance(data, str | Path):
        return open_table(data, smiles_column=smiles_column)
    if hasattr(data, "columns"):
        return table_from_frame(data, smiles_column=smiles_column)
    return table_from_smiles(list(data))


def _row_counter(events: Events | None, name: str) -> OnRow | None:
    if events is None:
        return None
    events.stage(name)
    return lambda done: events.advance(done, 0)
