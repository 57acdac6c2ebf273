"""A trial's configuration as a study file that runs again, as short as its defaults allow."""

from __future__ import annotations

from typing import Any

from tunecli.study_file.read.read_sections import SECTIONS
from tunecli.study_file.settings.settings import (
    WITHOUT,
    CompressionSettings,
    DataSettings,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.study_file.space.node_data import component_data, constraint_data, objective_data
from tunecli.study_file.text.dump import to_text


def to_yaml(config: TrialConfig, name: str, header: str = "") -> str:
    """The study file of one trial.

    It says all that scores depend on: what has a default whatever the task is left out. Its
    search is that one trial.

    Args:
        name: of the study that it makes.
        header: lines to put in front, each as a comment.
    """
    found: dict[str, Any] = {"study": name, "seed": config.seed}
    found["data"] = _data(config.data)
    found["validation"] = _changed(config.validation, ValidationSettings())
    for section in ("model", "loss", "optimizer"):
        component = getattr(config, section)
        found[section] = None if component == WITHOUT else component_data(component)
    if config.train is not None:
        found["train"] = component_data(config.train)
    if config.schedule is not None:
        found["schedule"] = component_data(config.schedule)
    found["training"] = _changed(config.training, TrainingSettings())
    found["compression"] = _changed(config.compression, CompressionSettings()) or None
    found["objective"] = objective_data(config.objectives)
    found["constraints"] = constraint_data(config.constraints) or None
    if config.metrics:
        found["metrics"] = [component_data(metric) for metric in config.metrics]
    found["search"] = {"trials": 1}
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    kept = {section: found[section] for section in SECTIONS if found.get(section) is not None}
    return comment + to_text(kept)


def _data(data: DataSettings) -> Any:
    changed = _changed(
        data, DataSettings(source=data.source), but=("scale", "augment", "arguments")
    )
    if data.scale != DataSettings(source=data.source).scale:
        changed["scale"] = component_data(data.scale)
    if data.augment:
        changed["augment"] = [component_data(component) for component in data.augment]
    source = {data.source: data.arguments} if data.arguments else data.source
    return {"source": source, **changed} if changed or data.arguments else source


def _changed(settings: Any, default: Any, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The settings that differ from their default, as plain data."""
    given = settings.model_dump(exclude=set(but))
    kept = {key: value for key, value in given.items() if value != getattr(default, key)}
    return {key: _without_defaults(key, settings, value) for key, value in kept.items()}


def _without_defaults(key: str, settings: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return getattr(settings, key).model_dump(exclude_defaults=True)
