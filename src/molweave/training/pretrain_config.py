"""How a method is pre-trained: one flat configuration and its presets."""

from dataclasses import dataclass

from molweave.errors import UserError
from molweave.methods.config import BELOW_1, NOT_NEGATIVE, Rule, check_fields, check_one_of

PRECISIONS = ("auto", "32-true", "bf16-mixed")
_AT_LEAST_1 = Rule("{} must be at least 1", lambda value: value >= 1)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Optimisation of one pre-training.

    Attributes:
        epochs: passes over the training part of the corpus; the schedule ends with the last.
        batch_size: molecules of an optimiser step, of all processes together.
        accumulate: micro-batches that a step is cut into, where memory is short.
        learning_rate: the peak of the schedule: linear warm-up, then half a cosine to 0.
        warmup: share of the steps until the peak.
        weight_decay: of AdamW.
        clip: largest gradient norm; 0 for no clipping.
        average: decay of the exponential moving average of the weights that validation uses and
            the encoder keeps, per step; 0 for none.
        precision: ``auto`` (bf16 where the device is a GPU that has it), ``32-true`` or
            ``bf16-mixed``.
        compile: whether ``torch.compile`` translates the layers that gain from it.
        max_atoms: molecules of more heavy atoms are left out.
        max_minutes: end cleanly after the step that is running at this time; 0 for no limit.
        log_steps: steps between two lines of the log.
        valid_steps: steps between two validations, rounded to a multiple of ``log_steps``; there is
            one at the end in any case.
        valid_molecules: held-out molecules of a validation.
        save_minutes: time between two checkpoints.
    """

    epochs: int = 10
    batch_size: int = 128
    accumulate: int = 1
    learning_rate: float = 5e-4
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.0
    precision: str = "auto"
    compile: bool = False
    max_atoms: int = 128
    max_minutes: float = 0.0
    log_steps: int = 50
    valid_steps: int = 500
    valid_molecules: int = 2000
    save_minutes: float = 5.0

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_one_of("precision", self.precision, PRECISIONS)
        counts = ("epochs", "accumulate", "max_atoms", "log_steps", "valid_steps")
        check_fields(self, counts, _AT_LEAST_1)
        if self.batch_size < 2 or self.learning_rate <= 0:
            raise UserError(
                "pre-training needs batch_size >= 2 and learning_rate > 0; found batch_size "
                f"{self.batch_size}, learning_rate {self.learning_rate}"
            )
        sizes = ("weight_decay", "clip", "max_minutes", "valid_molecules", "save_minutes")
        check_fields(self, sizes, NOT_NEGATIVE)
        check_fields(self, ("warmup", "average"), BELOW_1)


PRETRAIN_PRESETS: dict[tuple[str, str], PretrainConfig] = {
    ("dmmrl", "small"): PretrainConfig(learning_rate=1e-3),
    ("dmmrl", "hybrid"): PretrainConfig(learning_rate=1e-3),
    ("dmmrl", "robust"): PretrainConfig(learning_rate=1e-3),
    ("dmmrl", "relational"): PretrainConfig(learning_rate=1e-3),
    ("dmmrl", "flat"): PretrainConfig(learning_rate=1e-3),
    ("dmmrl", "paper"): PretrainConfig(epochs=20, learning_rate=1e-3),
    ("mmsa", "small"): PretrainConfig(batch_size=128, learning_rate=1e-3, weight_decay=0.0),
    ("mmsa", "paper"): PretrainConfig(
        epochs=20, batch_size=256, learning_rate=1e-3, weight_decay=0.0
    ),
    ("moleblend", "small"): PretrainConfig(),
    ("moleblend", "base"): PretrainConfig(epochs=20, batch_size=512, learning_rate=3e-4),
    ("moleblend", "paper"): PretrainConfig(
        epochs=20, batch_size=1024, learning_rate=2e-4, warmup=0.1, clip=5.0, average=0.999
    ),
}
