"""Up to where the values of an argument are worth searching.

A value must be one that the study file accepts (`study_file/catalogue/bounds.py`). For some
arguments, conventions say more; each has its source. torch is not imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.study_file.catalogue.bounds import BOUNDS, bound
from tunecli.study_file.catalogue.value_types import Interval

_STEP = "Kingma and Ba 2015, section 2.1: a step moves each weight by about lr"
_AVERAGE = "1 / (1 - value) steps are averaged; few trainings have over 10,000 steps"
_SHARE = "a share or probability"
_DECAY = "a factor above 1 would raise the learning rate"
_NOT_NEGATIVE = "a negative one has no meaning"
_WHOLE = "it must be at least one"
_RANK = "Biderman et al. 2024: ranks of up to 256, with lora_alpha = 2 r"
_BACKBONE = (
    "Howard and Ruder 2018, section 3.2: what is pretrained learns more slowly than the head"
)
_FEW_UNITS = "Srivastava et al. 2014, section 7.3: a model with few units underfits"


@dataclass(frozen=True)
class Convention:
    """Where useful values of an argument lie.

    Attributes:
        source: a publication or the reason, in a few words.
    """

    interval: Interval
    source: str


_WRITTEN: Mapping[str, tuple[str, str]] = {
    "Adam.lr": ("(0, 1]", _STEP),
    "AdamW.lr": ("(0, 1]", _STEP),
    "Adamax.lr": ("(0, 1]", _STEP),
    "NAdam.lr": ("(0, 1]", _STEP),
    "RAdam.lr": ("(0, 1]", _STEP),
    "RMSprop.lr": ("(0, 1]", "Tieleman and Hinton 2012: a step moves each weight by about lr"),
    "Rprop.lr": ("(0, 1]", "Riedmiller and Braun 1993: lr is the first step of each weight"),
    "Adafactor.lr": ("(0, 1]", "Shazeer and Stern 2018, section 8: lr is relative to a weight"),
    "LBFGS.lr": ("(0, 1]", "Nocedal and Wright 2006, section 6.1: the natural step has length 1"),
    "optimizer.momentum": (
        "[0, 0.99]",
        "Goodfellow et al. 2016, section 8.3.2: 0.5, 0.9 and 0.99",
    ),
    "dropout": ("[0, 0.9]", _FEW_UNITS),
    "embed_dropout": ("[0, 0.9]", _FEW_UNITS),
    "optimizer.alpha": ("[0, 0.9999]", _AVERAGE),
    "optimizer.rho": ("[0, 0.9999]", _AVERAGE),
    "optimizer.betas[0]": ("[0, 0.99]", "like momentum"),
    "optimizer.betas[1]": ("[0, 0.9999]", _AVERAGE),
    "ema": ("[0, 0.9999]", _AVERAGE),
    "optimizer.beta2_decay": ("[-1, 0]", "Shazeer and Stern 2018, section 7.2: from -1 to -0.5"),
    "optimizer.dampening": ("[0, 1]", _SHARE),
    "label_smoothing": ("[0, 0.5]", "more than half of a target would be noise"),
    "schedule.gamma": ("[0, 1]", _DECAY),
    "schedule.factor": ("[0, 1]", _DECAY),
    "schedule.start_factor": ("[0, 1]", _SHARE),
    "schedule.end_factor": ("[0, 1]", _SHARE),
    "warmup": ("[0, 0.5]", "more than half of the training would be warmup"),
    "fade_out": ("[0, 1]", _SHARE),
    "schedule.pct_start": ("[0, 1]", _SHARE),
    "p": ("[0, 1]", _SHARE),
    "min_frequency": ("[0, 0.5]", "only one category can have more than half of the rows"),
    "tokenizer.min_frequency": ("[1, inf)", _WHOLE),
    "max_length": ("[1, inf)", _WHOLE),
    "mixup": ("[0, inf)", _NOT_NEGATIVE),
    "cutmix": ("[0, inf)", _NOT_NEGATIVE),
    "input_noise": ("[0, inf)", _NOT_NEGATIVE),
    "l1": ("[0, inf)", _NOT_NEGATIVE),
    "weight_decay": ("[0, inf)", _NOT_NEGATIVE),
    "freeze": ("[0, inf)", _NOT_NEGATIVE),
    "layer_decay": (
        "(0, 1]",
        "Howard and Ruder 2018, section 3.2: lower layers learn more slowly",
    ),
    "backbone_lr": ("(0, 1]", _BACKBONE),
    "LoraConfig.r": ("[1, 256]", _RANK),
    "LoraConfig.lora_alpha": ("[1, 512]", _RANK),
    "patience": ("[1, inf)", _WHOLE),
    "batch_size": ("[1, inf)", _WHOLE),
    "accumulate": ("[1, inf)", _WHOLE),
}

CONVENTIONS: Mapping[str, Convention] = {
    name: Convention(Interval.of(interval), source)
    for name, (interval, source) in _WRITTEN.items()
}
"""By an argument's name; by `section.argument` or `Class.argument` if it has several meanings."""

_ARGUMENT = re.compile(r"(?P<argument>[^.\[\]]+)(?:\[(?P<index>[0-9]+)\])?$")


def useful_bounds(evidence: Evidence, name: str) -> Interval:
    """Return where a parameter's useful values lie; without ends where nothing is known."""
    section, *inside = name.split(".")
    section = "tokenizer" if inside[:1] == ["tokenizer"] else section
    component = component_of(evidence, name).get("name")
    if not isinstance(component, str):
        component = inside[-2] if inside[1:] else section if inside else ""
    return bounds_of(section, component, inside[-1] if inside else name)


def bounds_of(section: str, component: str, written: str) -> Interval:
    """Return where useful values of an argument lie.

    Args:
        written: an argument of the component, such as `lr` or `betas[1]`, or a setting.
    """
    found = _ARGUMENT.search(written)
    known: list[Interval | None] = []
    if found and section in BOUNDS:
        index = int(found["index"]) if found["index"] else None
        known.append(bound(section, component, found["argument"], index))
    names = (f"{component}.{written}", f"{section}.{written}", written)
    convention = next((CONVENTIONS[name] for name in names if name in CONVENTIONS), None)
    known.append(convention.interval if convention else None)
    useful = Interval()
    for interval in known:
        useful = _both(useful, interval) if interval is not None else useful
    return useful


def _both(one: Interval, other: Interval) -> Interval:
    """Return the numbers that lie in both intervals; of equal ends the open one counts."""
    low, lacks_low = max((i.low, not i.has_low) for i in (one, other))
    high, has_high = min((i.high, i.has_high) for i in (one, other))
    return Interval(low, high, not lacks_low, has_high)


def component_of(evidence: Evidence, name: str) -> Mapping[str, Any]:
    """Return the component that a parameter belongs to, whose class a label in its name may hide.

    Returns:
        `name` and `arguments` in a trial that has the parameter; empty if there is none.
    """
    section, *inside = name.split(".")
    path = ["tokenizer"] if inside[:1] == ["tokenizer"] else [section]
    path += ["arguments", "adapter"] if "adapter" in inside[:-1] else []
    for trial in evidence.study.trials:
        part: Any = trial.config if name in trial.params else None
        for step in path:
            part = part.get(step) if isinstance(part, Mapping) else None
        if isinstance(part, Mapping):
            return part
    return {}
