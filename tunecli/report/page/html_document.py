"""One HTML document from its parts: it loads nothing, and runs nothing foreign.

Jinja escapes every text. The script reads JSON in which no tag can begin or end. As a second
defence, a content security policy allows only our own two scripts, by their hash, and forbids
every request.

Of plotly.js it holds the basic bundle (scatter, bar and pie), as the npm package
plotly.js-basic-dist-min has it: a quarter of the whole library.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunecli import __version__
from tunecli.report.export.study_export import without_nan
from tunecli.report.page.plots.plot import PALETTES, Plot
from tunecli.report.phrases.foreign_text import plain


def html_page(
    template: str, plots: Mapping[str, Plot], hover: Mapping[int, str], **parts: Any
) -> str:
    """Return the whole file.

    Args:
        template: file name in `templates/`.
        plots: the plots by their key in the template.
        hover: text on a trial under the pointer, by the trial's number.
        parts: what the template shows.
    """
    scripts = [_file("plotly-basic.min.js"), _file("page.js")]
    payload = {
        "plots": {key: plot.figure() for key, plot in plots.items()},
        "palettes": PALETTES,
        "hover": hover,
    }
    return (
        _environment()
        .get_template(template)
        .render(
            policy=_policy(scripts),
            style=Markup(_file("page.css")),
            scripts=[Markup(script) for script in scripts],
            payload=Markup(script_json(payload)),
            plots=plots,
            version=__version__,
            **parts,
        )
    )


def script_json(value: Any) -> str:
    r"""Return JSON that is safe in a script element: `<`, `>` and `&` as `\u003c` and so on."""
    text = json.dumps(without_nan(value), allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _policy(scripts: list[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()) for script in scripts)
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tunecli.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment


def _file(name: str) -> str:
    return resources.files("tunecli.report.page").joinpath("templates", name).read_text("utf-8")
