"""The models of transformers that a study file can name, for texts as tokens."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from torch import Tensor, nn

from tunecli.data.rows.dataset import TokenForm
from tunecli.errors import ArgumentError, DataError
from tunecli.study_file.catalogue.architectures import AUTO_MODELS
from tunecli.study_file.catalogue.pretrained_folders import pretrained_folder
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.blocks import Division
from tunecli.training.models.dense import NO_COLUMNS
from tunecli.training.models.embeddings import Columns
from tunecli.training.models.fine_tuning import Freeze
from tunecli.training.models.fine_tuning import freeze as freeze_weights
from tunecli.training.models.frozen_weights import FrozenWeight, hold_frozen, read_once
from tunecli.training.models.layers import check_at_least_one, check_dropout
from tunecli.training.models.pretrained.peft_adapters import (
    TaskType,
    add_adapter,
    keeps_cache,
    n_virtual_tokens,
)
from tunecli.training.models.pretrained.text_vectors import (
    PooledHead,
    Pooling,
    real_tokens,
    split_row,
)
from tunecli.training.models.pretrained.transformers_configs import (
    Dropouts,
    config_text,
    folder_config,
    new_config,
    stored_config,
)
from tunecli.training.models.pretrained.transformers_networks import (
    build_network,
    has_own_head,
    head_modules,
    is_decoder,
    n_positions,
    network_blocks,
    quiet_transformers,
    sees_later_tokens,
)

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


class TransformersModel(nn.Module):
    """A network of transformers, perhaps with an adapter, and perhaps with a head of its own.

    Attributes:
        tokens: the tokens in its rows.
        network: the network of transformers, or peft's wrapper of it.
        head: the head on pooled vectors; None for the network's own.
        adapter: the adapter as the study file writes it; None without one.
    """

    network: Any

    def __init__(
        self,
        columns: Columns,
        pretrained: str | None,
        adapter: Component | None,
        freeze: Freeze | None,
    ) -> None:
        super().__init__()
        if columns.tokens is None:
            name = type(self).__name__
            raise DataError(f"{name} takes text, but the data has none. Write data.text.")
        self.tokens: TokenForm = columns.tokens
        self.head: PooledHead | None = None
        self._stored = columns.architecture
        self.adapter = adapter
        self._folder: Path | None = None
        self._source: Mapping[str, FrozenWeight] | None = None
        if pretrained is not None and not self._stored:
            self._folder = pretrained_folder(pretrained, self.tokens.study_folder)
        if self._folder is not None and (freeze or adapter is not None):
            self._source = read_once(*sorted(self._folder.glob("model*.safetensors"))) or None

    def division(self) -> Division:
        """Return its embeddings, its layers and its head; see `blocks.Division`."""
        network = self.library_network()
        heads = [*head_modules(network).values(), *([] if self.head is None else [self.head])]
        return Division(network_blocks(network), heads)

    def library_network(self) -> PreTrainedModel:
        """Return the network of transformers, without peft's wrapper."""
        inner = self.network if self.adapter is None else self.network.get_base_model()
        return cast("PreTrainedModel", inner)

    def merge_adapter(self) -> None:
        """Merge the adapter into the weights that it adapts; no adapter is left then."""
        with quiet_transformers():
            self.network = self.network.merge_and_unload()
        self.adapter = None

    def architecture(self) -> str:
        """Return the configuration of the network as JSON; see `Columns.architecture`."""
        return config_text(self.library_network().config)

    def _config(
        self, n_outputs: int, config: str | None, arguments: dict[str, Any], dropouts: Dropouts
    ) -> PreTrainedConfig:
        """Return the configuration of a stored, a pretrained or a new network."""
        if self._stored:
            return stored_config(self._stored)
        if self._folder is not None:
            return folder_config(self._folder, self.tokens, n_outputs, dropouts)
        if config is None:
            raise ValueError("either pretrained or config must be given.")
        return new_config(config, arguments, self.tokens, n_outputs, dropouts)

    def _build(
        self, auto_model: str, task: TaskType, config: PreTrainedConfig, recomputes: bool
    ) -> None:
        """Build the network, with the weights of the folder unless they are stored elsewhere."""
        config.use_cache = keeps_cache(self.adapter)
        network = build_network(auto_model, config, self._folder, self._source)
        if recomputes:
            network.activation_checkpointing_enable({"use_reentrant": False})
        adapter = self.adapter
        self.network = network if adapter is None else add_adapter(network, adapter, task)

    def _check_length(self, longest: int, max_length: int | None) -> None:
        """Refuse rows of more tokens than the network has positions for.

        Args:
            longest: number of tokens of the longest training row.
            max_length: the argument, for a pretrained model; None for others.
        """
        n_virtual, most = n_virtual_tokens(self.adapter), n_positions(self.library_network())
        got = longest if max_length is None else max_length
        if most is None or got + n_virtual <= most:
            return
        virtual = f", {n_virtual} of them for virtual tokens" if n_virtual else ""
        rule = (
            f"must be at most {most - n_virtual}, since this model has {most} positions{virtual}"
        )
        if max_length is not None:
            raise ArgumentError(f"{rule}, but got {got}.", "max_length")
        raise ValueError(f"the number of tokens per row {rule}, but got {got}.")

    def _freeze(self, what: Freeze | None) -> None:
        """Freeze weights, and share those of the folder that are frozen with other folds."""
        if what:
            freeze_weights(self, type(self).__name__, what)
        if self._source is not None:
            hold_frozen(self, self._source)
            self._source = None


class AutoModelForSequenceClassification(TransformersModel):
    """A classifier or regression model of transformers for texts.

    Args:
        shape: shape of one row: (n_features + number of tokens of the longest training row,).
        n_outputs: number of outputs.
        columns: the tokens in the rows.
        pretrained: folder of a pretrained model, or its name in the cache of the hub.
        config: architecture of a new model, by its `model_type`.
        max_length: largest number of tokens per row of a pretrained model.
        pooling: the vector of a text that a linear layer is put on: mean, cls (the first token) or
            last. None for the head that transformers has for the architecture; if it has none, or
            cannot use it (with other columns next to the text, and with virtual tokens), mean for
            encoders and last for decoders.
        freeze: number of leading blocks (embeddings, then layers) that are not trained, or
            `features` for all but the head.
        backbone_lr: factor on the learning rate of all but the head (`rate_factors`).
        layer_decay: factor on the learning rate per layer below the head (`rate_factors`).
        dropout: replaces every dropout of the model but those of attention weights.
        attention_dropout: replaces the dropouts of attention weights.
        checkpoint_activations: recompute activations instead of storing them.
        adapter: an adapter of peft; the weights of the model itself are then not trained.
        architecture: with `config`, arguments of its configuration class.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_outputs: int,
        columns: Columns = NO_COLUMNS,
        pretrained: str | None = None,
        config: str | None = None,
        max_length: int = 256,
        pooling: Literal["mean", "cls", "last"] | None = None,
        freeze: int | Literal["features"] | None = None,
        backbone_lr: float | None = None,
        layer_decay: float | None = None,
        dropout: float | None = None,
        attention_dropout: float | None = None,
        checkpoint_activations: bool = False,
        adapter: Component | None = None,
        **architecture: Any,
    ) -> None:
        super().__init__(columns, pretrained, adapter, freeze)
        _check_arguments(max_length, dropout, attention_dropout)
        with quiet_transformers():
            dropouts = Dropouts(dropout, attention_dropout)
            made = self._config(n_outputs, config, architecture, dropouts)
            how = self._pooling(made, pooling)
            if how is None:
                self._build(type(self).__name__, "SEQ_CLS", made, checkpoint_activations)
            else:
                self._build("AutoModel", "FEATURE_EXTRACTION", made, checkpoint_activations)
        if how is not None:
            own = getattr(made, "hidden_dropout_prob", 0.0) if dropout is None else dropout
            width = int(made.hidden_size)
            self.head = PooledHead(width, self.tokens.n_features, n_outputs, how, float(own))
        longest = shape[0] - self.tokens.n_features
        self._check_length(longest, None if pretrained is None else max_length)
        self._freeze(freeze)

    def _pooling(self, config: PreTrainedConfig, given: Pooling | None) -> Pooling | None:
        """Return how texts are pooled; None for the head of transformers."""
        is_plain = not self.tokens.n_features and not n_virtual_tokens(self.adapter)
        if given is not None or (is_plain and has_own_head(type(self).__name__, config)):
            return given
        return "last" if is_decoder(config) else "mean"

    def forward(self, x: Tensor) -> Tensor:  # (batch, n_features + length) -> (batch, n_outputs)
        features, ids = split_row(x, self.tokens)
        mask = real_tokens(ids, self.tokens.pad)
        outputs = self.network(input_ids=ids, attention_mask=mask)
        if self.head is None:
            return cast(Tensor, outputs.logits)
        vectors = outputs.last_hidden_state[:, -ids.shape[1] :]  # behind virtual tokens
        return cast(Tensor, self.head(vectors, mask, features))


class AutoModelForCausalLM(TransformersModel):
    """A language model of transformers: predicts each token from those before it.

    Args:
        shape: shape of one row: (number of tokens of the longest training row,).
        n_outputs: size of the vocabulary.
        columns: the tokens in the rows.
        pretrained: folder of a pretrained model, or its name in the cache of the hub.
        config: architecture of a new model, by its `model_type`.
        max_length: largest number of tokens per row of a pretrained model.
        freeze: number of leading blocks (embeddings, then layers) that are not trained, or
            `features` for all but the head.
        backbone_lr: factor on the learning rate of all but the head (`rate_factors`).
        layer_decay: factor on the learning rate per layer below the head (`rate_factors`).
        dropout: replaces every dropout of the model but those of attention weights.
        attention_dropout: replaces the dropouts of attention weights.
        checkpoint_activations: recompute activations instead of storing them.
        adapter: an adapter of peft; the weights of the model itself are then not trained.
        architecture: with `config`, arguments of its configuration class.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_outputs: int,
        columns: Columns = NO_COLUMNS,
        pretrained: str | None = None,
        config: str | None = None,
        max_length: int = 256,
        freeze: int | Literal["features"] | None = None,
        backbone_lr: float | None = None,
        layer_decay: float | None = None,
        dropout: float | None = None,
        attention_dropout: float | None = None,
        checkpoint_activations: bool = False,
        adapter: Component | None = None,
        **architecture: Any,
    ) -> None:
        super().__init__(columns, pretrained, adapter, freeze)
        if self.tokens.n_features:
            name = type(self).__name__
            raise DataError(f"{name} takes text alone. Leave the other columns out of the data.")
        self.n_outputs = n_outputs
        _check_arguments(max_length, dropout, attention_dropout)
        with quiet_transformers():
            dropouts = Dropouts(dropout, attention_dropout)
            made = self._config(n_outputs, config, architecture, dropouts)
            if not is_decoder(made):
                made.is_decoder = True  # or an encoder would see the tokens to predict
            self._build(type(self).__name__, "CAUSAL_LM", made, checkpoint_activations)
            if sees_later_tokens(self.library_network()):
                raise ValueError(
                    f"{made.model_type} sees the tokens that it must predict. Use a decoder such "
                    "as gpt2 or llama."
                )
        self._check_length(shape[0], None)
        self._freeze(freeze)

    def forward(self, x: Tensor) -> Tensor:  # (batch, length) -> (batch, length, n_outputs)
        _, ids = split_row(x, self.tokens)
        # Padding is behind a text, and no token sees those behind it: no mask is needed.
        logits = self.network(input_ids=ids).logits
        return cast(Tensor, logits[:, -ids.shape[1] :, : self.n_outputs])


def stored_architecture(model: nn.Module) -> str:
    """Return the configuration of a network of transformers as JSON; empty for other models."""
    return model.architecture() if isinstance(model, TransformersModel) else ""


def library_versions(model: str) -> dict[str, str]:
    """Return the versions of the libraries that a model is from; empty for other models."""
    return {name: version(name) for name in ("transformers", "peft") if model in AUTO_MODELS}


def _check_arguments(
    max_length: int, dropout: float | None, attention_dropout: float | None
) -> None:
    given = {"dropout": dropout, "attention_dropout": attention_dropout}
    check_at_least_one(max_length=max_length)
    check_dropout(**{name: value for name, value in given.items() if value is not None})
