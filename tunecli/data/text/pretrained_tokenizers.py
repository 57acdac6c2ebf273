"""Read the tokenizer of a pretrained model from its folder, without running anything in it."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from tunecli.errors import DataError
from tunecli.files.small import read_small

TOKENIZER = "tokenizer.json"
LARGEST = 256 * 2**20
"""Largest size of a tokenizer in bytes."""
_PICKLES = (".pkl", ".pickle", ".joblib")


def pretrained_tokenizer(folder: Path) -> str:
    """Return the content of a folder's `tokenizer.json`.

    Raises:
        DataError: it is missing, not a tokenizer, or the folder contains a pickle, which could run
            code.
    """
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _PICKLES)
    if pickles:
        raise DataError(
            f"{folder} contains {pickles[0]!r}, a pickle, which could run code. Remove it, or "
            "save the tokenizer again with save_pretrained."
        )
    try:
        text = read_small(folder / TOKENIZER, LARGEST).decode("utf-8")
        Tokenizer.from_str(text)
    except OSError:
        raise DataError(
            f"{folder} has no {TOKENIZER}. Save the tokenizer there in its fast form: "
            "AutoTokenizer.from_pretrained(…).save_pretrained(…)."
        ) from None
    except Exception as error:  # the library raises a plain Exception
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{folder / TOKENIZER} is not a tokenizer ({reason}).") from None
    return text
