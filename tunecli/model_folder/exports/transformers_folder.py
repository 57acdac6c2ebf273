"""Write a model of transformers as the folder that its library loads, and compare the two.

The class of transformers that the study names loads a whole model, `PeftModel` an adapter.
What neither library has a place for, such as a head on pooled vectors, is in `tunecli.json` and
`head.safetensors`.
"""

from __future__ import annotations

import copy
import errno
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.preprocessing.fitted_text import FittedText
from tunecli.data.rows.texts import TextRows
from tunecli.data.text.tokens import FittedTokenizer
from tunecli.errors import ExportError, OutputError
from tunecli.files.whole import whole_folder
from tunecli.model_folder.exports.exporting import some_rows
from tunecli.model_folder.exports.file_metadata import as_json, file_metadata
from tunecli.model_folder.format.model import Member, Model
from tunecli.study_file.catalogue.architectures import AUTO_MODELS, in_few_bits
from tunecli.study_file.text.suggestions import listed
from tunecli.training.models.auto_models import TransformersModel
from tunecli.training.models.pretrained.transformers_networks import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

TOLERANCE_OF_OUTPUTS = 1e-4
"""Largest difference between the outputs of the written folder and of the model."""
ROWS_COMPARED = 32

HEAD = "head.safetensors"
FACTS_FILE = "tunecli.json"
BASE = "base"
"""The folder of an adapter's base, if it is not a pretrained model."""


def refuse_other_models(model: Model) -> None:
    """Refuse a model that is not one network of transformers.

    Raises:
        ExportError: it is another one.
    """
    name = model.facts.config.model.name
    if name not in AUTO_MODELS:
        is_language = model.facts.config.data.task == "language_modeling"
        others = "safetensors" if is_language else "onnx, pt2 or safetensors"
        raise ExportError(
            f"--to transformers writes {listed(AUTO_MODELS, last='or')}, but this model is "
            f"{name}. Write --to {others}."
        )
    if len(model.members) > 1:
        raise ExportError(
            f"this model averages {len(model.members)} networks, but transformers loads only one. "
            "Run `tunecli refit` without --as-searched, --mean and --ensemble, and export that "
            "model."
        )


def export_transformers(model: Model, folder: Path, source: str, study_folder: Path) -> float:
    """Write a model as a folder of transformers or peft, if it computes what the model computes.

    Args:
        folder: does not exist, or is empty.
        source: source of the rows to compare on.
        study_folder: the folder of the study file.

    Returns:
        The largest difference between the outputs of both.

    Raises:
        ExportError: the folder computes something else.
        OutputError: the folder cannot be written.
        DataError: the rows cannot be read.
    """
    refuse_other_models(model)
    [member] = model.members
    rows, base = some_rows(model, source), _base(model, study_folder)
    assert isinstance(rows, TextRows)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(errno.EEXIST, "the folder is not empty", str(folder))
        with whole_folder(folder) as part, quiet_transformers():
            _write(model, member, part, base, folder.absolute() / BASE)
            return _compared(member, part, rows.split(ROWS_COMPARED)[0])
    except OSError as error:
        raise OutputError(folder, error) from None


def _write(model: Model, member: Member, part: Path, base: str, own_base: Path) -> None:
    """Write the weights, the tokenizer, and what the libraries have no place for.

    Args:
        base: the pretrained model that an adapter belongs to; empty if it is written too.
        own_base: where the base of an adapter is in the end, if it is written.
    """
    network, tokens = _network(member), _tokenizer_of(member)
    library = network.library_network()
    library.config.use_cache = True
    names = model.classes or model.targets
    if len(names) == member.facts.n_outputs:
        library.config.id2label = dict(enumerate(names))
        library.config.label2id = {name: number for number, name in enumerate(names)}
    if model.facts.task == "multilabel":
        library.config.problem_type = "multi_label_classification"
    if network.adapter is None:
        library.save_pretrained(part)
    else:
        network.network.peft_config["default"].base_model_name_or_path = base or str(own_base)
        network.network.save_pretrained(part)
        if not base:
            _without_adapter(network).save_pretrained(part / own_base.name)
    _tokenizer(tokens, network).save_pretrained(part)
    if network.head is not None:
        save_file(network.head.linear.state_dict(), part / HEAD)
    (part / FACTS_FILE).write_text(json.dumps(_facts(model, member), indent=1), encoding="utf-8")


def _facts(model: Model, member: Member) -> dict[str, Any]:
    """Return what `tunecli.json` says: the metadata of every export, and how texts are pooled."""
    head = _network(member).head
    return {
        **json.loads(as_json(file_metadata(model, ""))),
        "meaning": asdict(member.facts.meaning),
        "max_length": _tokenizer_of(member).max_length,
        "pooling": None if head is None else head.how,
    }


def _base(model: Model, study_folder: Path) -> str:
    """Return the name or the folder of the adapter's base; empty if that is written too."""
    component = model.facts.config.model
    if in_few_bits(component.name, component.arguments):
        return ""  # the adapter belongs to the rounded weights
    name = component.arguments.get("pretrained") or ""
    folder = study_folder / name
    return str(folder.resolve()) if name and folder.is_dir() else name


def _network(member: Member) -> TransformersModel:
    assert isinstance(member.network, TransformersModel)
    return member.network


def _tokenizer_of(member: Member) -> FittedTokenizer:
    """Return the tokenizer, which cuts texts to the tokens that the model was trained on."""
    fitted = member.preprocessing
    assert isinstance(fitted, FittedText | FittedBlocks)
    if isinstance(fitted, FittedText):
        return fitted.tokenizer
    return replace(fitted.tokenizer, max_length=fitted.block_size)


def _without_adapter(network: TransformersModel) -> PreTrainedModel:
    """Return a copy of the base of an adapter."""
    copied = copy.deepcopy(network.network)
    is_prompt = copied.active_peft_config.is_prompt_learning
    base: PreTrainedModel = copied.get_base_model() if is_prompt else copied.unload()
    return base


def _tokenizer(tokens: FittedTokenizer, network: TransformersModel) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    library = tokens.library
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=library,
        pad_token=library.id_to_token(network.tokens.pad),
        model_max_length=tokens.max_length,
        padding_side="right",
    )


@torch.no_grad()
def _compared(member: Member, part: Path, rows: TextRows) -> float:
    """Return the largest difference of outputs on some rows.

    Raises:
        ExportError: it is too large, or the written tokenizer makes other tokens.
    """
    from transformers import AutoTokenizer

    network, tokens = _network(member), _tokenizer_of(member)
    texts = [text for text in rows.joined() if text.strip()]
    expected = [tokens.encode([text])[0].tolist() for text in texts]
    tokenizer = AutoTokenizer.from_pretrained(part, local_files_only=True)
    encoded = tokenizer(texts, truncation=True, max_length=tokens.max_length)
    if encoded["input_ids"] != expected:
        raise ExportError(
            "the tokenizer makes other tokens when transformers loads it. The folder was not "
            "written."
        )
    loaded = _loaded(network, part).eval()
    differences = [_difference(network, loaded, torch.tensor([ids])) for ids in expected]
    if not (difference := max(differences, default=0.0)) <= TOLERANCE_OF_OUTPUTS:
        raise ExportError(
            f"the outputs of the folder differ from the model's by {difference:.2g}, and at most "
            f"{TOLERANCE_OF_OUTPUTS:g} is allowed. The folder was not written."
        )
    return difference


def _loaded(network: TransformersModel, part: Path) -> Any:
    """Return the network as its library loads it from the folder."""
    import transformers
    from peft import PeftModel

    if network.adapter is not None:
        return PeftModel.from_pretrained(_without_adapter(network), part)
    auto_model = "AutoModel" if network.head is not None else type(network).__name__
    return getattr(transformers, auto_model).from_pretrained(part, local_files_only=True)


def _difference(network: TransformersModel, loaded: Any, ids: Tensor) -> float:
    """Return the largest difference of all outputs for the tokens of one text."""
    mask = torch.ones_like(ids)
    outputs = [one(input_ids=ids, attention_mask=mask)[0] for one in (network.network, loaded)]
    return float((outputs[0] - outputs[1]).abs().max())
