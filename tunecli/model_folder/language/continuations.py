"""Continue texts with a language model, one token after the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.errors import DataError
from tunecli.training.step.precision import Precision


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: divides the logits before a token is drawn; 0 for the most probable token.
        top_k: draw among this many most probable tokens only; None for all.
        seed: of the draws; the text at position i uses seed + i.
    """

    temperature: float = 0.0
    top_k: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature >= 0 or self.temperature == float("inf"):
            raise DataError(f"the temperature must be 0 or more, but got {self.temperature:g}.")
        if self.top_k is not None and self.top_k < 1:
            raise DataError(f"top_k must be 1 or more, but got {self.top_k}.")

    def next_token(self, scores: Tensor, generator: torch.Generator) -> int:
        """Choose a token by its score, (vocab_size,); the first of equally probable ones."""
        if self.temperature == 0:
            return int(scores.argmax())
        k = min(self.top_k or len(scores), len(scores))
        best, tokens = scores.double().topk(k)
        shares = (best / self.temperature).softmax(0)
        return int(tokens[torch.multinomial(shares, 1, generator=generator)])


GREEDY = Sampling()


@torch.no_grad()
def continuation(
    network: nn.Module,
    precision: Precision,
    fitted: FittedBlocks,
    text: str,
    n_tokens: int,
    sampling: Sampling,
    position: int = 0,
) -> str:
    """Return at most `n_tokens` tokens after a text; fewer if the model ends the document.

    The model reads the last `block_size` tokens. It never chooses the unknown token.

    Args:
        position: of the text among others, for its draws.
    """
    tokens = fitted.start_of(text)
    n_given = len(tokens)
    device = next(network.parameters()).device
    generator = torch.Generator().manual_seed(sampling.seed + position)
    never = _never_chosen(fitted)
    with precision.in_force(), precision.forward():
        for _ in range(n_tokens):
            x = torch.tensor([tokens[-fitted.block_size :]], device=device)
            scores = network(x)[0, -1].float().cpu()
            scores[never] = -torch.inf
            token = sampling.next_token(scores, generator)
            if token == fitted.boundary:
                break
            tokens.append(token)
    return fitted.tokenizer.decode(tokens[n_given:])


def _never_chosen(fitted: FittedBlocks) -> list[int]:
    """Return the unknown token, and the boundary if the model saw no document end."""
    found = map(fitted.tokenizer.library.token_to_id, ("[UNK]", "<unk>"))
    unknown = [token for token in found if token is not None and token != fitted.boundary]
    return [*unknown, *([fitted.boundary] if fitted.of_one_text else [])]
