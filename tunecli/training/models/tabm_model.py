"""TabM: many multilayer perceptrons in one network, which predict together."""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor, nn

from tunecli.training.models.dense import NO_COLUMNS
from tunecli.training.models.layers.embeddings import Columns, RowEmbedding
from tunecli.training.models.layers.plain_layers import check_at_least_one, check_dropout


class TabM(nn.Module):
    """k multilayer perceptrons that share most of their weights, in their authors' implementation.

    Gorishniy et al. (2025), "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling", https://arxiv.org/abs/2410.24210 (package tabm). Categories are one-hot.

    Args:
        shape: shape of one row.
        n_outputs: number of outputs of each perceptron.
        arch: `tabm` scales the inputs and outputs of each shared layer per perceptron, `mini` only
            the inputs of the first one; `packed` shares nothing.
        k: number of perceptrons.
        n_blocks: number of hidden layers; none for 3, or 2 with `num_embeddings`.
        d_block: width of every hidden layer.
        dropout: probability of dropping a hidden unit in training. Range [0, 1).
        activation: a class of torch.nn, e.g. ReLU, GELU, SiLU, Tanh.
        num_embeddings: embedding of numbers as vectors: periodic or piecewise_linear.
        num_size: size of those vectors.
        n_bins: bins for piecewise_linear: quantiles of the fold's training part.
        n_frequencies: number of frequencies for periodic.
        frequency_scale: standard deviation of the initial frequencies for periodic; sensitive.
        columns: the categorical features, and training rows to compute bins from.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_outputs: int,
        arch: Literal["tabm", "mini", "packed"] = "tabm",
        k: int = 32,
        n_blocks: int | None = None,
        d_block: int = 512,
        dropout: float = 0.1,
        activation: str = "ReLU",
        num_embeddings: Literal["periodic", "piecewise_linear"] | None = None,
        num_size: int = 16,
        n_bins: int = 48,
        n_frequencies: int = 48,
        frequency_scale: float = 0.01,
        columns: Columns = NO_COLUMNS,
    ) -> None:
        from tabm import LinearEnsemble, make_tabm_backbone

        super().__init__()
        n_blocks = (3 if num_embeddings is None else 2) if n_blocks is None else n_blocks
        check_at_least_one(k=k, n_blocks=n_blocks, d_block=d_block)
        check_dropout(dropout=dropout)
        numbers = (num_embeddings, num_size, n_bins, n_frequencies, frequency_scale)
        self.embedding = RowEmbedding(shape, columns, None, *numbers)
        start = "random-signs" if num_embeddings is None else "normal"
        is_packed = arch == "packed"
        self.backbone = make_tabm_backbone(
            d_in=self.embedding.n_features,
            n_blocks=n_blocks,
            d_block=d_block,
            dropout=dropout,
            activation=activation,
            k=k,
            arch_type="tabm" if arch == "tabm" else f"tabm-{arch}",
            start_scaling_init=None if is_packed else start,
            start_scaling_init_chunks=None if is_packed else self.embedding.sizes,
        )
        self.head = LinearEnsemble(d_block, n_outputs, k=k)
        self._k = k

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, k, n_outputs)
        features = self.embedding(x).unsqueeze(1).expand(-1, self._k, -1)
        return cast(Tensor, self.head(self.backbone(features)))
