"""Write the generated tables of the guide: `python tests/guide/write_tables.py`.

A table is in `tunecli/guide/*.md` between `<!-- table: name -->` and `<!-- end -->`, and is made
from the code: settings from their fields, options from the commands, names from the catalogue.
Files that users copy are shown whole in the same way.
`tests/guide/test_written_tables.py` fails while one of them is stale.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.main import get_command

from tunecli.cli import app
from tunecli.report.findings.space.useful_bounds import CONVENTIONS
from tunecli.search.suggest.samplers import KINDS
from tunecli.study_file.catalogue.adapters import ADAPTERS
from tunecli.study_file.catalogue.architectures import AUTO_MODELS
from tunecli.study_file.catalogue.component_arguments import argument_type, signature
from tunecli.study_file.catalogue.names import (
    LOSS_TASKS,
    OWN_MODELS,
    SCALES,
    TEXT_MODELS,
    TOKENIZERS,
    Kind,
    names,
)
from tunecli.study_file.catalogue.signatures import Argument
from tunecli.study_file.catalogue.value_types import Interval
from tunecli.study_file.settings import settings
from tunecli.study_file.settings.metric_names import METRICS, MetricArgument, MetricNumber
from tunecli.study_file.settings.objective_settings import ObjectiveSettings
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.source_kinds import ARRAYS, BUNDLED, TABLES, TORCHVISION
from tunecli.study_file.text.dump import flow

GUIDE = Path(__file__).parents[2] / "tunecli" / "guide"
LIBRARIES = ("torch", "torchvision", "kornia")
_BETWEEN = re.compile(r"(<!-- table: ([^\n]+) -->\n)(.*?)(<!-- end -->\n)", re.DOTALL)
_CONTINUES = {
    "rebuilt": "from the stored trials",
    "replayed": "by replaying the study from its first trial, or from its last edit",
    "enumerated": "with the points that are left, in an order that the seed gives",
}


# Rows and cells


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table; `|` in a cell is escaped."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |\n" for r in lines)


def quoted(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def sentence(text: str) -> str:
    """Return the text with a full stop."""
    return f"{text.rstrip('.')}." if text else ""


# Settings

SECTIONS: dict[str, type[settings.Settings]] = {
    "data": settings.DataSettings,
    "validation": settings.ValidationSettings,
    "objective": ObjectiveSettings,
    "training": settings.TrainingSettings,
    "training.early_stopping": settings.EarlyStopping,
    "compression": settings.CompressionSettings,
    "compression.structured": settings.StructuredSettings,
    "compression.prune": settings.PruneSettings,
    "compression.share": settings.ShareSettings,
    "search": SearchSettings,
}
_OF_THE_FILE = {
    ("data", "test"): "the source's own, or 0.2",
    ("data", "positive"): "the rarer of two classes",
    ("training", "epochs"): "20",
    ("training", "eval_every"): "each epoch",
}
"""Defaults that depend on other settings, where the field says None."""


def settings_table(section: str) -> str:
    cls = SECTIONS[section]
    rows = [
        (f"`{section}.{name}`", default_of(section, name), sentence(one_line(text)))
        for name, text in cls.descriptions().items()
    ]
    return table(("setting", "default", "meaning"), rows)


def default_of(section: str, name: str) -> str:
    field = SECTIONS[section].model_fields[name]
    if (section, name) in _OF_THE_FILE:
        return _OF_THE_FILE[section, name]
    if field.is_required():
        return "required"
    default = field.default
    if default is None or default in ([], {}, ()):
        return "none"
    if isinstance(default, settings.Component):
        name, arguments = short(default.name), default.arguments
        return f"`{flow({name: arguments} if arguments else name)}`"
    if isinstance(default, bool):
        return str(default).lower()
    return f"`{default}`" if isinstance(default, str) else f"{default:g}"


def short(name: str) -> str:
    """Return `TPE` for `TPESampler`, `Median` for `MedianPruner`."""
    return re.sub("(Sampler|Pruner)$", "", name)


# Commands and options


def commands_table() -> str:
    rows = [
        (f"`tunecli {name}`", (inspect.cleandoc(command.help or "").split("\n\n")[0]))
        for name, command in sorted(get_command(app).commands.items())  # type: ignore[attr-defined]
    ]
    return table(("command", "what it does"), [(n, " ".join(t.split())) for n, t in rows])


def options_table() -> str:
    """Return one row per option and meaning, with the commands that have it so."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            if parameter.opts[0].startswith("-"):
                key = (spelled(parameter), option_default(parameter), option_meaning(parameter))
                found.setdefault(key, []).append(name)
    rows = [
        (option, ", ".join(commands), default, meaning)
        for (option, default, meaning), commands in sorted(found.items())
    ]
    return table(("option", "commands", "default", "meaning"), rows)


def spelled(parameter: Any) -> str:
    """Return an option as it is typed: its long name first, then what it takes."""
    options = sorted(parameter.opts, key=len, reverse=True)
    value = "" if parameter.is_flag else f" {value_name(parameter.type_descriptor.annotation)}"
    return quoted([f"{options[0]}{value}", *options[1:]])


def value_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    return {int: "N", float: "NUMBER", Path: "PATH", str | Path: "PATH"}.get(annotation, "TEXT")


def option_default(parameter: Any) -> str:
    return "" if parameter.default in (None, False) else f"`{parameter.default}`"


def option_meaning(parameter: Any) -> str:
    """Return the help of an option, and the environment variable that stands for it."""
    variable = f" Environment variable: `{parameter.envvar}`." if parameter.envvar else ""
    return f"{sentence(parameter.help or '')}{variable}"


# Names


def metrics_table() -> str:
    rows = []
    for info in METRICS.values():
        words = "; ".join(f"`{name}`: {_values(w)}" for name, w in info.arguments.items())
        rows.append(
            (f"`{info.name}`", ", ".join(info.tasks) or "any", info.direction, words, info.needs)
        )
    return table(("metric", "task", "better", "arguments, default first", "needs"), rows)


def _values(known: MetricArgument) -> str:
    if not isinstance(known, MetricNumber) and "binary" in known:
        others = [word for word in known if word not in ("binary", "macro")]
        return f"`binary` for two classes, else `macro`; {quoted(map(str, others))}"
    if not isinstance(known, MetricNumber):
        return quoted(word or "none" for word in known)
    default = "" if known.default is None else f"`{known.default}`, "
    return f"{default}{Interval.of(known.within)}"


def losses_table() -> str:
    return table(
        ("loss", "task"), [(f"`{name}`", ", ".join(tasks)) for name, tasks in LOSS_TASKS.items()]
    )


def text_models_table() -> str:
    """Return the arguments of the models of text with their defaults; shared ones come last."""
    own = {name: signature("model", name).arguments for name in TEXT_MODELS}
    shared = [a for a in own[TEXT_MODELS[0]] if all(a in arguments for arguments in own.values())]
    rows = [(f"`{n}`", with_defaults(n, (a for a in own[n] if a not in shared))) for n in own]
    rows.append(("all", with_defaults(TEXT_MODELS[0], shared)))
    return table(("model", "arguments with defaults (other options in parentheses)"), rows)


def with_defaults(name: str, arguments: Iterable[Argument]) -> str:
    return ", ".join(f"`{a.name}: {flow(a.default)}`{other_words(name, a)}" for a in arguments)


def other_words(name: str, argument: Argument) -> str:
    """Return the words that an argument may have instead of its default, in brackets."""
    words = argument_type("model", name, argument).schema.get("enum", ())
    others = quoted(word for word in words if word != argument.default)
    return f" ({others})" if others else ""


def tokenizers_table() -> str:
    """Return the arguments of each tokenizer, with their defaults."""
    rows = []
    for name in TOKENIZERS:
        arguments = signature("tokenizer", name).arguments
        words = ", ".join(f"`{one.name}: {flow(one.default)}`" for one in arguments)
        rows.append((f"`{name}`", words))
    return table(("tokenizer", "arguments with their defaults"), rows)


def samplers_table() -> str:
    """Return which samplers continue in the same way, and how."""
    by_way: dict[str, list[str]] = {}
    for name, kind in KINDS.items():
        by_way.setdefault(_CONTINUES[kind.continues], []).append(short(name))
    rows = [(quoted(listed), way) for way, listed in by_way.items()]
    return table(("sampler", "how a resumed search continues"), rows)


def own_names_table() -> str:
    """Return the names that do not depend on the versions of the libraries."""
    rows = [
        ("data: scikit-learn datasets", quoted(BUNDLED)),
        ("data: tables", quoted(TABLES)),
        ("data: arrays", quoted(ARRAYS)),
        ("data: torchvision datasets", quoted(TORCHVISION)),
        ("scale", quoted((*SCALES, "none"))),
        ("tokenizer", quoted(TOKENIZERS)),
        ("model: tunecli's own", quoted(n for n in OWN_MODELS if n not in AUTO_MODELS)),
        ("model: of transformers", quoted(AUTO_MODELS)),
        ("adapter: of peft", quoted(ADAPTERS)),
        ("loss", quoted(LOSS_TASKS)),
        ("metrics", quoted(i.name for i in METRICS.values() if i.tasks)),
        ("costs, as metrics", quoted(i.name for i in METRICS.values() if not i.tasks)),
        ("sampler", quoted(map(short, names("sampler")))),
        ("pruner", quoted((*map(short, names("pruner")), "none"))),
    ]
    return table(("where", "names"), rows)


def versions() -> str:
    """Return the versions whose names the last table has, as `torch 2.12`."""
    return ", ".join(f"{name} {version(name).split('+')[0]}" for name in LIBRARIES)


def library_names_table() -> str:
    kinds: dict[str, Kind] = {
        "optimizer, of `torch.optim`": "optimizer",
        "schedule, of `torch.optim.lr_scheduler`": "schedule",
        "activation, of `torch.nn`": "activation",
        "model, of `torchvision.models`": "model",
        "augment, of `kornia.augmentation`": "augmentation",
    }
    rows = [
        (where, quoted(name for name in names(kind) if name not in OWN_MODELS))
        for where, kind in kinds.items()
    ]
    return f"With {versions()}:\n\n{table(('where', 'names'), rows)}"


def conventions_table() -> str:
    """Return up to where ranges grow, and why; arguments with the same reason in one row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for name, convention in CONVENTIONS.items():
        rows.setdefault((str(convention.interval), convention.source), []).append(name)
    body = [(quoted(names), where, why) for (where, why), names in rows.items()]
    return table(("argument", "useful values", "why"), body)


# Files

CLUSTERS = Path(__file__).parents[2] / "studies" / "clusters"
"""Job files for batch systems."""


def shown_file(path: Path) -> str:
    """Return a file as a block of code."""
    language = {".sh": "bash", ".yaml": "yml"}[path.suffix]  # `yaml` marks study files
    return f"```{language}\n{path.read_text(encoding='utf-8')}```\n"


TABLES_OF_GUIDE: dict[str, Callable[[], str]] = {
    **{f"settings of {name}": lambda name=name: settings_table(name) for name in SECTIONS},  # type: ignore[misc]
    **{f"file {path.name}": lambda path=path: shown_file(path) for path in CLUSTERS.iterdir()},  # type: ignore[misc]
    "commands": commands_table,
    "options": options_table,
    "metrics": metrics_table,
    "losses": losses_table,
    "models of text": text_models_table,
    "samplers": samplers_table,
    "names": own_names_table,
    "tokenizers": tokenizers_table,
    "conventions": conventions_table,
    "names of libraries": library_names_table,
}


def written(text: str) -> str:
    """Return a text of the guide with every table made anew."""
    return _BETWEEN.sub(
        lambda found: f"{found[1]}\n{TABLES_OF_GUIDE[found[2]]()}\n{found[4]}", text
    )


def main() -> None:
    for path in sorted(GUIDE.glob("*.md")):
        before = path.read_text(encoding="utf-8")
        after = written(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.name} was written")


if __name__ == "__main__":
    main()
