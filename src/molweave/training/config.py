"""How a model is trained: one flat configuration and its presets."""

from dataclasses import dataclass

from molweave.errors import UserError
from molweave.methods.config import BELOW_1, NOT_NEGATIVE, check_fields, check_one_of
from molweave.metrics import resolve_metric

SCHEDULES = ("cosine", "noam", "constant")
OPTIMIZERS = ("adamw", "adam")
_AT_LEAST_0 = ("weight_decay", "warmup_epochs", "clip", "patience", "head_epochs", "max_minutes")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Optimisation of one model.

    Attributes:
        epochs: passes over the training part.
        batch_size: molecules per step.
        optimizer: ``adamw`` or ``adam``.
        learning_rate: the peak of the schedule.
        weight_decay: of the optimiser.
        schedule: ``cosine`` (linear warm-up, cosine to 0), ``noam`` (up from half the peak over
            the warm-up, back to half with the inverse square root of the step) or ``constant``.
        warmup_epochs: epochs until the peak, at most all but the last.
        clip: largest gradient norm; 0 for no clipping.
        patience: stop after so many epochs without a better validation score; 0 for never.
        layer_decay: factor on the learning rate for every layer between a parameter and the head,
            see `Method.depths`; 1 for one rate everywhere.
        head_epochs: passes that train the head alone, on the vectors of the pre-trained encoder and
            with the other settings of a frozen one, before everything is fine-tuned: the first
            steps of a fresh head would spoil the encoder (Kumar et al., "Fine-Tuning can Distort
            Pretrained Features", ICLR 2022); 0 for none.
        average: decay of the exponential moving average of the weights that validation and
            prediction use, per step; 0 for none.
        balance: weigh the positives of each classification task by negatives / positives of the
            training part.
        metric: score for early stopping and choice of the epoch; ``auto`` is ROC-AUC where all
            tasks are classes, RMSE for one number; ``loss`` (the mean over tasks of log loss and
            squared standardised error, which knows no units) for several numbers, where tasks are
            mixed, or where only one class is in validation.
        precision: ``auto`` (bf16 where the device has it in hardware), or one of fabric's names.
        max_minutes: stop training cleanly after this time, of which every network of an ensemble
            has an equal share; 0 for no limit.
    """

    epochs: int = 60
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    warmup_epochs: int = 3
    clip: float = 1.0
    patience: int = 0
    layer_decay: float = 1.0
    head_epochs: int = 0
    average: float = 0.0
    balance: bool = False
    metric: str = "auto"
    precision: str = "auto"
    max_minutes: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_one_of("schedule", self.schedule, SCHEDULES)
        check_one_of("optimizer", self.optimizer, OPTIMIZERS)
        check_one_of("precision", self.precision, PRECISIONS)
        if self.epochs < 1 or self.batch_size < 2 or self.learning_rate <= 0:
            raise UserError(
                "training needs epochs >= 1, batch_size >= 2 and learning_rate > 0; found "
                f"epochs {self.epochs}, batch_size {self.batch_size}, "
                f"learning_rate {self.learning_rate}"
            )
        check_fields(self, _AT_LEAST_0, NOT_NEGATIVE)
        if self.metric not in ("auto", "loss"):
            resolve_metric(self.metric)
        if not 0 < self.layer_decay <= 1:
            raise UserError(f"layer_decay must be above 0 and at most 1; found {self.layer_decay}")
        check_fields(self, ("average",), BELOW_1)

    @property
    def idle(self) -> dict[str, str]:
        """Fields that change nothing, and why."""
        warms_up = self.schedule != "constant" or not self.warmup_epochs
        return {} if warms_up else {"warmup_epochs": "schedule=constant"}


_PROBE = TrainConfig(epochs=100, batch_size=32)
FINETUNE, PROBE = "finetune", "probe"
"""How a pre-trained encoder is trained, whatever its preset: with its head, or the head alone."""

TRAIN_PRESETS: dict[tuple[str, str], TrainConfig] = {
    ("dmmrl", "paper"): TrainConfig(
        epochs=250,
        batch_size=32,
        optimizer="adam",
        learning_rate=2e-3,
        weight_decay=1e-5,
        schedule="noam",
        warmup_epochs=2,
    ),
    ("dmmrl", "small"): TrainConfig(epochs=30, batch_size=32),
    ("dmmrl", "hybrid"): TrainConfig(epochs=30, batch_size=32),
    ("dmmrl", "robust"): TrainConfig(epochs=20, batch_size=32, weight_decay=0.05, average=0.99),
    ("dmmrl", "relational"): TrainConfig(epochs=10, batch_size=32, weight_decay=0.05, average=0.99),
    ("dmmrl", "flat"): TrainConfig(epochs=30, batch_size=32, learning_rate=3e-3),
    ("dmmrl", FINETUNE): TrainConfig(epochs=30, batch_size=32, learning_rate=3e-4, layer_decay=0.5),
    ("dmmrl", PROBE): _PROBE,
    ("mmsa", "small"): TrainConfig(epochs=60, batch_size=32),
    ("mmsa", "paper"): TrainConfig(epochs=100, batch_size=32, optimizer="adam", weight_decay=0.0),
    ("mmsa", FINETUNE): TrainConfig(epochs=60, batch_size=32, learning_rate=3e-4),
    ("mmsa", PROBE): _PROBE,
    ("moleblend", "small"): TrainConfig(epochs=40, batch_size=32, learning_rate=3e-4),
    ("moleblend", "base"): TrainConfig(epochs=40, batch_size=32, learning_rate=1e-4),
    ("moleblend", "paper"): TrainConfig(
        epochs=60, batch_size=32, optimizer="adam", learning_rate=5e-5, weight_decay=1e-5
    ),
    ("moleblend", FINETUNE): TrainConfig(
        epochs=40, batch_size=32, learning_rate=3e-4, layer_decay=0.9, head_epochs=100
    ),
    ("moleblend", PROBE): _PROBE,
}
