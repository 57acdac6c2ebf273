"""Silence the libraries that write exports, and name them where they fail."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tunecli.errors import ExportError


@contextmanager
def quietly(library: str, what: str) -> Iterator[None]:
    """Silence a library's own remarks, and turn its errors into one sentence.

    Args:
        what: what it does with the network: export, quantize.

    Raises:
        ExportError: whatever the library raised; these are many kinds of errors.
    """
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"{library} cannot {what} this network: {reason}") from None
    finally:
        logging.disable(logging.NOTSET)
