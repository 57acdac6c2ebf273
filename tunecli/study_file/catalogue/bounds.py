"""Bounds of the numeric arguments of models, losses, optimizers and schedules.

The bounds of optimizers and schedules are those of torch's constructors and, where these check
nothing, those of their formulas: a step size of 0 divides by zero, a decay above 1 takes the root
of a negative average. torch and Optuna are not imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunecli.study_file.catalogue.value_types import Interval, is_number
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.text.document import Path, dotted
from tunecli.study_file.text.dump import inline

_WRITTEN = {
    "model": {
        "dropout": "[0, 1)",
        "width": "[1, inf)",
        "depth": "[1, 10000]",
        "base_width": "[1, inf)",
        "CNN.depth": "[1, 10]",  # each block doubles the channels
        "CNN.kernel": "[1, 99]",
        "k": "[1, inf)",
        "n_blocks": "[1, 10000]",
        "d_block": "[1, inf)",
        "RealMLP.num_size": "[2, inf)",
        "scale_lr": "(0, inf)",
        "bias_lr": "(0, inf)",
        "activation_lr": "(0, inf)",
        "embedding_lr": "(0, inf)",
        "channels": "[1, inf)",
        "kernel": "[1, inf)",
        "attention_dropout": "[0, 1)",
        "layer_decay": "(0, 1]",
        "max_length": "[1, inf)",
        "r": "[1, inf)",
        "lora_alpha": "[1, inf)",
        "lora_dropout": "[0, 1)",
        "encoder_dropout": "[0, 1)",
        "encoder_num_layers": "[1, inf)",
        "num_virtual_tokens": "[1, inf)",
        "encoder_hidden_size": "[1, inf)",
        "embed": "[1, inf)",
        "category_embed": "[1, inf)",
        "embed_dropout": "[0, 1)",
        "kernel_sizes": "[1, 99]",
        "hidden_size": "[1, inf)",
        "num_layers": "[1, 1000]",
        "d_model": "[1, inf)",
        "nhead": "[1, inf)",
        "dim_feedforward": "[1, inf)",
    },
    "tokenizer": {
        "vocab_size": "[3, inf)",
        "BPE.vocab_size": "[258, inf)",  # padding, unknown and every byte
        "min_frequency": "[1, inf)",
    },
    "scale": {
        "limit": "(0, inf)",
    },
    "loss": {
        "label_smoothing": "[0, 1]",
        "SmoothL1Loss.beta": "[0, inf)",
        "HuberLoss.delta": "(0, inf)",
        "eps": "[0, inf)",
    },
    "optimizer": {
        "lr": "(0, inf)",
        "weight_decay": "[0, inf)",
        "momentum": "[0, 1)",
        "dampening": "[0, 1]",
        "betas": "[0, 1)",
        "eps": "[0, inf)",
        "Adadelta.rho": "[0, 1]",
        "Adafactor.beta2_decay": "(-inf, 0]",
        "Adafactor.d": "[1, inf)",
        "Adagrad.lr_decay": "[0, inf)",
        "Adagrad.initial_accumulator_value": "[0, inf)",
        "ASGD.lambd": "[0, inf)",
        "ASGD.alpha": "[0, inf)",
        "ASGD.t0": "[0, inf)",
        "LBFGS.max_iter": "[1, inf)",
        "LBFGS.max_eval": "[1, inf)",
        "LBFGS.tolerance_grad": "[0, inf)",
        "LBFGS.tolerance_change": "[0, inf)",
        "LBFGS.history_size": "[1, inf)",
        "Muon.ns_steps": "[0, 100)",
        "NAdam.momentum_decay": "[0, inf)",
        "RMSprop.alpha": "[0, 1]",
        "Rprop.etas[0]": "(0, 1)",
        "Rprop.etas[1]": "(1, inf)",
        "Rprop.step_sizes": "[0, inf)",
    },
    "schedule": {
        "gamma": "[0, inf)",
        "eta_min": "[0, inf)",
        "total_iters": "[1, inf)",
        "max_lr": "(0, inf)",
        "base_momentum": "[0, 1)",
        "max_momentum": "[0, 1)",
        "StepLR.step_size": "[1, inf)",
        "MultiStepLR.milestones": "[0, inf)",
        "ConstantLR.factor": "(0, 1]",
        "LinearLR.start_factor": "(0, 1]",
        "LinearLR.end_factor": "[0, 1]",
        "CosineAnnealingLR.T_max": "[1, inf)",
        "ReduceLROnPlateau.factor": "[0, 1)",
        "ReduceLROnPlateau.patience": "[0, inf)",
        "ReduceLROnPlateau.threshold": "[0, inf)",
        "ReduceLROnPlateau.cooldown": "[0, inf)",
        "ReduceLROnPlateau.min_lr": "[0, inf)",
        "ReduceLROnPlateau.eps": "[0, inf)",
        "CyclicLR.base_lr": "[0, inf)",
        "CyclicLR.step_size_up": "[1, inf)",
        "CyclicLR.step_size_down": "[0, inf)",
        "CosineAnnealingWarmRestarts.T_0": "[1, inf)",
        "CosineAnnealingWarmRestarts.T_mult": "[1, inf)",
        "OneCycleLR.total_steps": "[2, inf)",
        "OneCycleLR.epochs": "[1, inf)",
        "OneCycleLR.steps_per_epoch": "[1, inf)",
        "OneCycleLR.pct_start": "[0, 1]",
        "OneCycleLR.div_factor": "(0, inf)",
        "OneCycleLR.final_div_factor": "(0, inf)",
        "PolynomialLR.power": "[0, inf)",
        "CosLogLR.total_steps": "[1, inf)",
        "CosLogLR.n_cycles": "[1, 30]",
    },
}

BOUNDS: Mapping[str, Mapping[str, Interval]] = {
    section: {name: Interval.of(written) for name, written in bounds.items()}
    for section, bounds in _WRITTEN.items()
}
"""Bounds by section and argument; by `Class.argument` if its meaning differs or it is rare; by
`Class.argument[i]` for one item of a list. The bound of a list applies to all of its items."""

DIVIDING = frozenset({"d_model", "nhead"})
"""Arguments of which one must be a multiple of the other, so that the ends of their ranges do not
represent the values between."""


def bound(
    section: str, component: str, argument: str, index: int | None = None
) -> Interval | None:
    """Return the bounds of an argument, or of item `index` of a list; None if unknown."""
    bounds, full = BOUNDS[section], f"{component}.{argument}"
    return bounds.get(f"{full}[{index}]") or bounds.get(full) or bounds.get(argument)


def out_of_bounds(section: str, component: Component) -> Iterator[tuple[Path, str]]:
    """Yield each number among the arguments of a component that is out of its bounds.

    Yields:
        The path below the component, such as ("lr",) or ("betas", 1), and the message.
    """
    for argument, given in component.arguments.items():
        items = enumerate(given) if isinstance(given, list) else [(None, given)]
        for index, value in items:
            interval = bound(section, component.name, argument, index)
            if interval is not None and is_number(value) and value not in interval:
                path: Path = (argument,) if index is None else (argument, index)
                yield path, f"{dotted(path)} must be {interval}, but got {inline(value)}."
