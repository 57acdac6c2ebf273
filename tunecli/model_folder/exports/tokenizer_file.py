"""Write the tokenizer of a model of text beside its exported file."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from tunecli.data.preprocessing.fitted_text import FittedText
from tunecli.data.text.tokens import FittedTokenizer
from tunecli.errors import ExportError
from tunecli.files.small import read_small
from tunecli.files.whole import output
from tunecli.model_folder.format.model import Model

NAME = "tokenizer.json"


def text_preprocessing(model: Model) -> FittedText | None:
    """Return the preprocessing of a model of text; None for other models.

    Raises:
        ExportError: the model has several networks, whose tokens differ.
    """
    fitted = [m.preprocessing for m in model.members if isinstance(m.preprocessing, FittedText)]
    if len(fitted) > 1:
        raise ExportError(
            f"the model is the mean of {len(fitted)} networks, each with its own tokenizer, so "
            "one file cannot take the tokens of all of them. Refit one trial without "
            "--as-searched, --mean and --ensemble, and export that model."
        )
    return fitted[0] if fitted else None


def write_tokenizer(tokenizer: FittedTokenizer, beside: Path) -> Path:
    """Write the tokenizer of a model into the folder of its exported file.

    It cuts and pads texts as the model does, except that a text without tokens has none.

    Raises:
        ExportError: the folder has another tokenizer.
        OutputError: the file cannot be written.
    """
    path = beside.with_name(NAME)
    content = _cutting_and_padding(tokenizer).to_str(pretty=True).encode()
    if path.is_file() and read_small(path) != content:
        raise ExportError(
            f"{path} is the tokenizer of another model. Choose another folder with --output."
        )
    with output(path) as part:
        part.write_bytes(content)
    return path


def _cutting_and_padding(tokenizer: FittedTokenizer) -> Tokenizer:
    made = Tokenizer.from_str(tokenizer.text)
    made.enable_truncation(tokenizer.max_length)
    made.enable_padding(pad_id=tokenizer.pad, pad_token=tokenizer.vocabulary[tokenizer.pad])
    return made
