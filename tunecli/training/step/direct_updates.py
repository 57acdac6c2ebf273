"""Call the kernels of torch's optimizers on their own states.

Around its kernel, `Optimizer.step` collects lists, groups them by device and calls hooks, which is
a quarter of a small step. The states stay where the optimizer keeps them, so its `state_dict` and
its next `step` are the same to the bit. One call can update several models whose optimizers have
equal options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

ParameterGroup = Mapping[str, Any]
"""A group of an optimizer: `params` and their options."""


@dataclass(frozen=True)
class Kernel:
    """A fused kernel.

    Attributes:
        run: takes weights, gradients, one list per state, steps, and options.
        states: returns the names of the states that the kernel changes, in its order.
        options: names of the options that the kernel reads.
        counts: whether the steps of each weight are counted in `step`, before the kernel runs.
    """

    run: Callable[..., None]
    states: Callable[[ParameterGroup], tuple[str, ...]]
    options: tuple[str, ...]
    counts: bool = True


def _run_adam(
    weights: list[Tensor],
    gradients: list[Tensor],
    states: Sequence[list[Tensor]],
    steps: list[Tensor],
    *,
    betas: tuple[float, float],
    decoupled_weight_decay: bool,
    **options: Any,
) -> None:
    run = torch._fused_adamw_ if decoupled_weight_decay else torch._fused_adam_
    averages, squares, *largest = states
    most = largest[0] if largest else []
    beta1, beta2 = betas
    run(weights, gradients, averages, squares, most, steps, beta1=beta1, beta2=beta2, **options)


def _run_sgd(
    weights: list[Tensor],
    gradients: list[Tensor],
    states: Sequence[list[Tensor]],
    _: list[Tensor],
    **options: Any,
) -> None:
    buffers = states[0] if states else []
    torch._fused_sgd_(weights, gradients, buffers, is_first_step=False, **options)


def _run_adagrad(
    weights: list[Tensor],
    gradients: list[Tensor],
    states: Sequence[list[Tensor]],
    steps: list[Tensor],
    **options: Any,
) -> None:
    torch._fused_adagrad_(weights, gradients, states[0], steps, **options)


def _adam_states(group: ParameterGroup) -> tuple[str, ...]:
    largest = ("max_exp_avg_sq",) if group["amsgrad"] else ()
    return ("exp_avg", "exp_avg_sq", *largest)


def _sgd_states(group: ParameterGroup) -> tuple[str, ...]:
    return ("momentum_buffer",) if group["momentum"] else ()


_COMMON = ("lr", "weight_decay", "maximize")
_ADAM = Kernel(
    _run_adam,
    _adam_states,
    (*_COMMON, "betas", "eps", "amsgrad", "decoupled_weight_decay"),
)
_KERNELS: dict[type[Optimizer], Kernel] = {
    torch.optim.Adam: _ADAM,
    torch.optim.AdamW: _ADAM,
    torch.optim.SGD: Kernel(
        _run_sgd, _sgd_states, (*_COMMON, "momentum", "dampening", "nesterov"), counts=False
    ),
    torch.optim.Adagrad: Kernel(_run_adagrad, lambda _: ("sum",), (*_COMMON, "lr_decay", "eps")),
}


def kernel_of(optimizer: Optimizer) -> Kernel | None:
    """Return the kernel of an optimizer; None if it does not use one."""
    is_fused = all(group.get("fused") for group in optimizer.param_groups)
    return _KERNELS.get(type(optimizer)) if is_fused else None


class GroupUpdate:
    """Updates one parameter group of several models by one kernel.

    The lists have the models of the first parameter, then those of the second, and so on.
    """

    def __init__(self, kernel: Kernel, optimizers: Sequence[Optimizer], index: int) -> None:
        """Prepare to update the groups at `index` of optimizers whose states exist."""
        groups = [optimizer.param_groups[index] for optimizer in optimizers]
        self._kernel = kernel
        self._groups = groups
        self._options_of = itemgetter(*kernel.options)
        self.weights = _in_turn([group["params"] for group in groups])
        states = _in_turn([_states_of(optimizer, index) for optimizer in optimizers])
        names = kernel.states(groups[0])
        self._states = [[state[name] for state in states] for name in names]
        self.steps = [state["step"] for state in states] if kernel.counts else []

    @torch.no_grad()
    def __call__(self, gradients: list[Tensor], *, counted: bool = False) -> None:
        """Update the weights.

        Args:
            gradients: gradients of the weights, in their order and with their strides.
            counted: whether the caller has counted this step in `steps`.
        """
        if self.steps and not counted:
            torch._foreach_add_(self.steps, 1)
        options = [self._options_of(group) for group in self._groups]
        n = len(options)
        if options.count(options[0]) == n:
            self._run(gradients, slice(None), options[0])
            return
        for k, own in enumerate(options):
            self._run(gradients, slice(k, None, n), own)

    def _run(self, gradients: list[Tensor], part: slice, options: Sequence[Any]) -> None:
        states = [values[part] for values in self._states]
        named = dict(zip(self._kernel.options, options, strict=True))
        self._kernel.run(self.weights[part], gradients[part], states, self.steps[part], **named)


def is_ready(optimizer: Optimizer, kernel: Kernel) -> bool:
    """Return whether the optimizer has the states of all weights: its first step makes them."""
    return all(
        all(name in optimizer.state.get(weight, ()) for name in kernel.states(group))
        for group in optimizer.param_groups
        if kernel.states(group)
        for weight in group["params"]
    )


def step_directly(optimizer: Optimizer) -> bool:
    """Make an optimizer's step by its kernel, and remove the gradients.

    Return False if only `Optimizer.step` can make it; then nothing has changed.

    The kernels do not look at strides, so gradients must have those of the weights, as those of
    `Tensor.backward` have.
    """
    kernel = kernel_of(optimizer)
    if kernel is None or not is_ready(optimizer, kernel):
        return False
    updates = [GroupUpdate(kernel, [optimizer], i) for i in range(len(optimizer.param_groups))]
    weights = [weight for update in updates for weight in update.weights]
    if not all(w.grad is not None and w.grad.stride() == w.stride() for w in weights):
        return False
    for update in updates:
        update([weight.grad for weight in update.weights if weight.grad is not None])
    for weight in weights:
        weight.grad = None
    return True


def _states_of(optimizer: Optimizer, index: int) -> list[dict[str, Any]]:
    # To ask for a state that does not exist would make it.
    return [optimizer.state.get(w, {}) for w in optimizer.param_groups[index]["params"]]


def _in_turn(lists: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the first item of each list, then the second of each, and so on."""
    return [item for items in zip(*lists, strict=True) for item in items]
