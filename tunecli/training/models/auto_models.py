"""The models of transformers that a study file can name, for texts as tokens."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from torch import Tensor, nn

from tunecli.data.rows.dataset import TokenForm
from tunecli.errors import DataError
from tunecli.study_file.catalogue.architectures import AUTO_MODELS
from tunecli.study_file.catalogue.pretrained_folders import pretrained_folder
from tunecli.study_file.catalogue.token_positions import n_virtual_tokens, too_long
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.blocks import Division
from tunecli.training.models.dense import NO_COLUMNS
from tunecli.training.models.fine_tuning import Freeze
from tunecli.training.models.fine_tuning import freeze as freeze_weights
from tunecli.training.models.frozen_weights import (
    FrozenSource,
    FrozenWeight,
    hold_frozen,
    read_once,
)
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.models.layers.plain_layers import check_at_least_one, check_dropout
from tunecli.training.models.parametrization.transformer_widths import transformer_factors
from tunecli.training.models.parametrization.width_factors import WidthScaled
from tunecli.training.models.pretrained.peft_adapters import (
    TaskType,
    add_adapter,
    keeps_cache,
)
from tunecli.training.models.pretrained.quantized_layers import (
    Bits,
    quantize_linears,
    refuse_without_cuda,
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


class TransformersModel(WidthScaled):
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
        bits: Bits | None = None,
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
        self._source: FrozenSource | None = None
        if pretrained is not None and not self._stored:
            self._folder = pretrained_folder(pretrained, self.tokens.study_folder)
        # A model folder has whole weights, which no pretrained folder is needed for.
        self._bits = None if self._stored else bits
        if self._bits is not None:
            refuse_without_cuda(self._bits)
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
        if self._bits is not None and adapter is not None:
            self._quantize(network, self._bits, adapter)
        self.network = network if adapter is None else add_adapter(network, adapter, task)

    def _quantize(self, network: PreTrainedModel, bits: Bits, adapter: Component) -> None:
        """Quantize the linear layers of the base that are frozen."""
        trained = adapter.arguments.get("modules_to_save") or ()
        held = {} if self._source is None else self._source.quantized
        quantize_linears(network, bits, {*head_modules(network), *trained}, FrozenWeight, held)

    def _check_length(self, setting: str, n_tokens: int) -> None:
        """Refuse rows of more tokens than the network has positions for.

        Args:
            setting: the setting of their length.
        """
        most = n_positions(self.library_network())
        virtual = n_virtual_tokens(self.adapter)
        if most is not None and (message := too_long(setting, n_tokens, most, virtual)):
            raise ValueError(message)

    def most_tokens(self) -> int | None:
        """Return the largest number of tokens per row; None if there is no limit."""
        most = n_positions(self.library_network())
        return None if most is None else most - n_virtual_tokens(self.adapter)

    def _freeze(self, what: Freeze | None) -> None:
        """Freeze weights; other folds share the frozen weights of the folder."""
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
        pooling: how the vector of a text is made, on which a linear layer predicts: mean, cls (the
            first token) or last. None for the head of transformers; if there is none, or it cannot
            be used (with other columns, or with virtual tokens), mean for encoders and last for
            decoders.
        freeze: number of leading blocks (embeddings, then layers) that are not trained, or
            `features` for all but the head.
        backbone_lr: factor on the learning rate of all but the head (`rate_factors`).
        layer_decay: factor on the learning rate per layer below the head (`rate_factors`).
        dropout: replaces every dropout of the model but those of attention weights.
        attention_dropout: replaces the dropouts of attention weights.
        checkpoint_activations: recompute activations instead of storing them.
        adapter: an adapter of peft; the weights of the model itself are then not trained.
        load_in_4bit: with an adapter, hold the linear layers of the base in 4 bits, on CUDA.
        load_in_8bit: the same in 8 bits.
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
        load_in_4bit: bool = False,
        load_in_8bit: bool = False,
        **architecture: Any,
    ) -> None:
        super().__init__(columns, pretrained, adapter, freeze, _bits(load_in_4bit, load_in_8bit))
        check_at_least_one(max_length=max_length)
        _check_dropouts(dropout, attention_dropout)
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
        of_data = pretrained is None
        setting = "data.max_length" if of_data else "max_length"
        self._check_length(setting, longest if of_data else max_length)
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
        freeze: number of leading blocks (embeddings, then layers) that are not trained, or
            `features` for all but the head.
        backbone_lr: factor on the learning rate of all but the head (`rate_factors`).
        layer_decay: factor on the learning rate per layer below the head (`rate_factors`).
        dropout: replaces every dropout of the model but those of attention weights.
        attention_dropout: replaces the dropouts of attention weights.
        checkpoint_activations: recompute activations instead of storing them.
        adapter: an adapter of peft; the weights of the model itself are then not trained.
        load_in_4bit: with an adapter, hold the linear layers of the base in 4 bits, on CUDA.
        load_in_8bit: the same in 8 bits.
        parametrization: `mup` scales initial weights and learning rates of a new GPT-2 with
            `n_embd`, so that the best learning rate is that of a narrow network.
        base_width: the `n_embd` at which `mup` equals `standard`.
        architecture: with `config`, arguments of its configuration class.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_outputs: int,
        columns: Columns = NO_COLUMNS,
        pretrained: str | None = None,
        config: str | None = None,
        freeze: int | Literal["features"] | None = None,
        backbone_lr: float | None = None,
        layer_decay: float | None = None,
        dropout: float | None = None,
        attention_dropout: float | None = None,
        checkpoint_activations: bool = False,
        adapter: Component | None = None,
        load_in_4bit: bool = False,
        load_in_8bit: bool = False,
        parametrization: Literal["standard", "mup"] = "standard",
        base_width: int = 128,
        **architecture: Any,
    ) -> None:
        super().__init__(columns, pretrained, adapter, freeze, _bits(load_in_4bit, load_in_8bit))
        if self.tokens.n_features:
            name = type(self).__name__
            raise DataError(f"{name} takes text alone. Leave the other columns out of the data.")
        self.n_outputs = n_outputs
        _check_dropouts(dropout, attention_dropout)
        check_at_least_one(base_width=base_width)
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
        if parametrization == "mup":
            width = made.hidden_size / base_width
            self.scale_by_width(
                transformer_factors(self.library_network(), width, start=width**-0.5)
            )
        self._check_length("data.block_size", shape[0])
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
    """Return the versions of the libraries that a model comes from; empty for other models."""
    return {name: version(name) for name in ("transformers", "peft") if model in AUTO_MODELS}


def _bits(load_in_4bit: bool, load_in_8bit: bool) -> Bits | None:
    return 4 if load_in_4bit else 8 if load_in_8bit else None


def _check_dropouts(dropout: float | None, attention_dropout: float | None) -> None:
    given = {"dropout": dropout, "attention_dropout": attention_dropout}
    check_dropout(**{name: value for name, value in given.items() if value is not None})
