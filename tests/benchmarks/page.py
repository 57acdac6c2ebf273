"""The page of a large study against Optuna's own figures of it: `python tests/benchmarks/page.py`.

Writes a study of 1,000 trials with 8 parameters, its page, and a file with the figures that Optuna
has of the same (history, slices, importance), plotly.js included in both.
Prints sizes, seconds of CPU to make them, and seconds until headless Chromium has opened each from
disk, and until it has drawn everything. Needs chromium and chromedriver.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import optuna
from report import write
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url
from tunecli.report.findings.all_findings import all_findings, leading_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.page.study_page import study_page

_RUNS = 5
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_ALL_DRAWN = {
    "tunecli": "return document.documentElement.dataset.drawn === 'all'",
    "Optuna": "return document.querySelectorAll('.main-svg').length >= 3",
}


def our_page(url: str) -> str:
    evidence = Evidence.of(read_study(url))
    return study_page(evidence, leading_findings(all_findings(evidence), evidence))


def optuna_page(url: str) -> str:
    from optuna import visualization

    study = optuna.load_study(storage=url, study_name="large")
    figures = [
        visualization.plot_optimization_history(study),
        visualization.plot_slice(study),
        visualization.plot_param_importances(study),
    ]
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=place == 0)
        for place, figure in enumerate(figures)
    ]
    return f"<!doctype html><meta charset=utf-8>{''.join(parts)}"


def opening(path: Path, is_drawn: str, profile: str) -> tuple[float, float]:
    """Seconds until the page is loaded, and until everything is drawn, in a fresh browser."""
    options = webdriver.ChromeOptions()
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as browser:
        begun = time.perf_counter()
        browser.get(path.as_uri())
        loaded = time.perf_counter() - begun
        WebDriverWait(browser, 120, 0.02).until(lambda driver: driver.execute_script(is_drawn))
        return loaded, time.perf_counter() - begun


def main(n_trials: int) -> None:
    makers: dict[str, Callable[[str], str]] = {"tunecli": our_page, "Optuna": optuna_page}
    with TemporaryDirectory() as folder:
        (Path(folder) / "large").mkdir()
        url = sqlite_url(Path(folder) / "large" / "study.db")
        write(url, n_trials)
        for name, make in makers.items():
            begun = time.process_time()
            page = make(url)
            seconds = time.process_time() - begun
            path = Path(folder) / f"{name}.html"
            path.write_text(page, encoding="utf-8")
            times = [
                opening(path, _ALL_DRAWN[name], f"{folder}/profile-{name}-{run}")
                for run in range(_RUNS)
            ]
            loaded, drawn = (median(column) for column in zip(*times, strict=True))
            print(
                f"{name:<8} {path.stat().st_size / 1e6:5.2f} MB, made in {seconds:5.2f} s of CPU, "
                f"opened in {loaded:5.2f} s, drawn after {drawn:5.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
