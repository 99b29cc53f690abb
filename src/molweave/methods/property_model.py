"""A method with a property head, which `fit` trains and `predict` runs, and a method alone."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from molweave.data.batch import Batch
from molweave.data.targets import Task
from molweave.methods.base import Encoding, Method, Term
from molweave.nn.heads import PropertyHead
from molweave.nn.objectives.property import property_loss
from molweave.shapes import Float, Tensor


@dataclass(frozen=True)
class Prediction:
    """Predictions in the units of the tasks, and the encoding that they were made from.

    Attributes:
        values: probability of class 1, or the value in the units of the training data; in double
            precision on the CPU, because single precision has no digits left for values that are
            large compared with their spread (total energies, say).
        encoding: embedding, modality weights and codes.
    """

    values: Float[Tensor, "B T"]
    encoding: Encoding


class Network(nn.Module):
    """What can be run over molecules.

    Attributes:
        method: the encoder of molecules.
        num_tasks: T, the number of columns of `Prediction.values`.
    """

    method: Method
    num_tasks: int

    @abstractmethod
    def predict(self, batch: Batch) -> Prediction:
        """Predictions of a batch; call `eval` first, or dropout and sampling are on."""


class Embedder(Network):
    """A method alone: it encodes, and predicts no task."""

    num_tasks = 0

    def __init__(self, method: Method) -> None:
        """Wrap a method."""
        super().__init__()
        self.method = method

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """The encoding, and no values."""
        encoding = self.method.encode(batch)
        return Prediction(torch.zeros(batch.size, 0, dtype=torch.float64), encoding)


class PropertyModel(Network):
    """A method and one head output per task; targets are standardised inside."""

    classification: Tensor
    positive_weight: Tensor

    def __init__(
        self,
        method: Method,
        tasks: Sequence[Task],
        *,
        dropout: float,
        head: str = "mlp",
        positive_weight: Sequence[float] | None = None,
    ) -> None:
        """Put a fresh head on ``method``.

        Args:
            method: the encoder of molecules.
            tasks: what to predict; regression tasks carry the mean and scale of their training
                labels.
            dropout: dropout of the head.
            head: its kind, one of `molweave.nn.heads.HEADS`.
            positive_weight: weight of a positive label per task, 1 where not given.
        """
        super().__init__()
        self.method = method
        self.num_tasks = len(tasks)
        self.head = PropertyHead(
            inputs=method.embedding_dim, tasks=len(tasks), dropout=dropout, kind=head
        )
        kinds = [task.kind == "classification" for task in tasks]
        weights = positive_weight or [1.0] * len(tasks)
        self.register_buffer("classification", torch.tensor(kinds), persistent=False)
        self.mean = torch.tensor([task.mean for task in tasks], dtype=torch.float64)
        self.scale = torch.tensor([task.scale for task in tasks], dtype=torch.float64)
        self.register_buffer("positive_weight", torch.tensor(weights), persistent=False)

    def forward(self, batch: Batch, progress: float) -> dict[str, Term]:
        """All terms of the training loss: ``task`` and those of the method."""
        if batch.targets is None or batch.target_mask is None:
            raise ValueError("a training batch needs targets")
        encoding = self.method.encode(batch)
        outputs = self.head(encoding.embedding)
        task = property_loss(
            outputs,
            ((batch.targets - self.mean) / self.scale).float().to(outputs.device),
            batch.target_mask,
            classification=self.classification,
            positive_weight=self.positive_weight,
        )
        return {"task": Term(1.0, task), **self.method.objectives(encoding, batch, progress)}

    def depths(self) -> dict[str, int]:
        """Those of the method, see `Method.depths`; the head is one layer above it."""
        below = {f"method.{name}": depth for name, depth in self.method.depths().items()}
        head = 1 + max(below.values(), default=0)
        return below | {f"head.{name}": head for name, _ in self.head.named_parameters()}

    def learning_rate_factors(self) -> dict[str, float]:
        """Those of the method, see `Method.learning_rate_factors`."""
        factors = self.method.learning_rate_factors()
        return {f"method.{start}": factor for start, factor in factors.items()}

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Probabilities of class 1 and values in the units of the training data."""
        encoding = self.method.encode(batch)
        outputs = self.head(encoding.embedding).float().cpu().double()
        values = torch.where(
            self.classification.cpu(), torch.sigmoid(outputs), outputs * self.scale + self.mean
        )
        return Prediction(values, encoding)
