"""Heads that turn an embedding into predictions."""

from torch import nn

from molweave.shapes import Float, Tensor


class PropertyHead(nn.Module):
    """One output per task: dropout, Linear(d, d/2), ReLU, dropout, Linear(d/2, T).

    Outputs are logits for classification and standardised values for regression.
    """

    def __init__(self, *, inputs: int, tasks: int, dropout: float) -> None:
        """``inputs`` is the width of the embedding."""
        super().__init__()
        self.network = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(inputs, inputs // 2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(inputs // 2, tasks),
        )

    def forward(self, embedding: Float[Tensor, "B D"]) -> Float[Tensor, "B T"]:
        """Raw outputs."""
        out: Tensor = self.network(embedding)
        return out
