"""Turn a packed model into a module."""

from __future__ import annotations

from torch import nn

from tunecli.errors import DataError
from tunecli.training.compression.compressible_layers import make_plain
from tunecli.training.compression.fusing import remove_norms
from tunecli.training.compression.packing import Packed
from tunecli.training.compression.shapes import take_shapes


def unpack(packed: Packed, model: nn.Module) -> nn.Module:
    """Load packed weights into a model that was built from its configuration; in evaluation mode.

    Raises:
        DataError: the file belongs to another model.
    """
    try:
        tensors = packed.state_dict()
        make_plain(model)
        remove_norms(model.eval(), list(packed.norms))
        take_shapes(model, tensors)
        model.load_state_dict(tensors)
    except (RuntimeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"The packed weights belong to another model ({reason}).") from None
    return model
