"""Make the pictures of README: `python tests/guide/make_pictures.py`.

Searches studies/digits.yaml (30 trials, about two minutes) in a temporary folder and writes into
`tunecli/guide/images/`: `search.svg`, the terminal while the search runs, `report.svg`, the
beginning of its report, both by rich's own export, and `page.png`, the page of the report in
headless Chromium. Needs chromium.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from tunecli.database.records import StudyRecord, read_study
from tunecli.report.findings.all_findings import all_findings, leading_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.live.live import LiveView
from tunecli.report.page.study_page import study_page
from tunecli.report.screen.terminal import study_parts
from tunecli.search.events.events import TrialEvaluated, TrialFinished
from tunecli.search.run import Search
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.workers.local import start_server
from tunecli.study_file.study_file import read_study_file

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "tunecli" / "guide" / "images"
STUDY = "studies/digits.yaml"
TRIALS = 30
FINISHED = 12
"""Trials after which the running search is drawn."""
COLUMNS = 80
PAGE = (1100, 1000)
"""Width and height of the window that shows the page, in pixels."""


def terminal(command: str) -> Console:
    """A terminal in which a command was typed, whose text is recorded."""
    console = Console(
        record=True,
        width=COLUMNS,
        height=40,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        _environ={},
    )
    console.print(Text.assemble(("$ ", "bold green"), command))
    return console


def save(console: Console, name: str) -> None:
    path = IMAGES / f"{name}.svg"
    console.save_svg(str(path), title="tunecli", unique_id=f"tunecli-{name}")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} KB")


def search(place: StudyFolder) -> None:
    """Run the whole study; draw its screen on the way."""
    study = read_study_file(ROOT / STUDY, [f"search.trials={TRIALS}"])
    console = terminal(f"tunecli search {STUDY} --trials {TRIALS}")
    view = LiveView(console)  # not entered: lines are printed, the panel is drawn once below
    n_finished = 0
    is_drawn = False
    with place.held():
        start_server()
        for event in Search(study, place, study.search).events():
            if not is_drawn:
                view.show(event)
            n_finished += isinstance(event, TrialFinished)
            if not is_drawn and n_finished >= FINISHED and isinstance(event, TrialEvaluated):
                console.print(view._panel())
                save(console, "search")
                is_drawn = True


def report(study: StudyRecord) -> None:
    """The beginning of the report: what it found, and the best trial."""
    console = terminal("tunecli report digits")
    for part in study_parts(study):
        if isinstance(part, Text) and part.plain.startswith("Top "):
            break
        console.print(part, crop=False)
    save(console, "report")


def page(study: StudyRecord, folder: Path) -> None:
    """The page as a browser shows it first."""
    evidence = Evidence.of(study)
    html = folder / "digits.html"
    html.write_text(study_page(evidence, leading_findings(all_findings(evidence), evidence)))
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is not installed.")
    png = IMAGES / "page.png"
    subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={folder / 'profile'}", f"--window-size={PAGE[0]},{PAGE[1]}"),
            *("--virtual-time-budget=20000", f"--screenshot={png}", html.as_uri()),
        ],
        check=True,
        capture_output=True,
    )
    print(f"{png.relative_to(ROOT)}: {png.stat().st_size / 1000:.0f} KB")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        place = StudyFolder(Path(folder) / "runs", "digits")
        search(place)
        study = read_study(place.url, place.name)
        report(study)
        page(study, Path(folder))


if __name__ == "__main__":
    main()
