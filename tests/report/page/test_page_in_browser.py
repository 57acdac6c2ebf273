"""The page in headless Chromium: drawn, quiet, and usable by keyboard."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from page_studies import nasty, two_objectives, usual
from study_makers import complete, made, mlp

from tunecli.database.records import StudyRecord, read_study
from tunecli.database.urls import sqlite_url
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.page.comparison_page import comparison_page
from tunecli.report.page.study_page import study_page
from tunecli.report.studies.comparison import compared

selenium = pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1280,900",
)

DRAWN = "return document.documentElement.dataset.drawn === 'all'"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or CHROMEDRIVER is None, reason="chromium and chromedriver are not there"
    ),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(CHROMEDRIVER)
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver


def opened(browser: webdriver.Chrome, path: Path, page: str) -> webdriver.Chrome:
    """Opened from disk, with every plot drawn."""
    path.write_text(page, encoding="utf-8")
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(path.as_uri())
    wait(browser, DRAWN)
    return browser


def wait(browser: webdriver.Chrome, condition: str) -> None:
    WebDriverWait(browser, 120).until(lambda driver: driver.execute_script(condition))


def page_of(study: StudyRecord) -> str:
    evidence = Evidence.of(study)
    return study_page(evidence, all_findings(evidence))


def requests(browser: webdriver.Chrome) -> list[str]:
    messages: list[dict[str, Any]] = [
        json.loads(entry["message"])["message"] for entry in browser.get_log("performance")
    ]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    path = folder / "page.html"
    path.write_text(page_of(read_study(made(folder, usual()))), encoding="utf-8")
    return path


@pytest.fixture
def fresh(browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The page as it is at first, whatever another test has opened."""
    browser.get(page.as_uri())
    wait(browser, DRAWN)
    return browser


SIZES = """
return [...document.querySelectorAll('.canvas')].map((element) => {
  const drawn = element.querySelector('.main-svg');
  const box = drawn?.getBoundingClientRect();
  return [element.dataset.plot, box ? Math.min(box.width, box.height) : 0,
          element.querySelectorAll('.point, .js-line, .errorbar').length];
});
"""


def test_nothing_is_said_and_nothing_asked_for(browser: webdriver.Chrome, tmp_path: Path) -> None:
    study = read_study(made(tmp_path, usual()))
    opened(browser, tmp_path / "page.html", page_of(study))
    assert browser.get_log("browser") == []
    asked = requests(browser)
    assert asked
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}


def test_every_plot_is_drawn(fresh: webdriver.Chrome) -> None:
    sizes = fresh.execute_script(SIZES)
    assert len(sizes) > 8
    for key, size, n_marks in sizes:
        assert size > 100, key
        assert n_marks > 0, key


def test_the_front_of_several_objectives_is_drawn(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    n_best = len(two_objectives(tmp_path).best_trials)
    study = read_study(sqlite_url(tmp_path / "study.db"))
    opened(browser, tmp_path / "page.html", page_of(study))
    assert browser.get_log("browser") == []
    plot = browser.find_element(By.CSS_SELECTOR, '[data-plot="tradeoff:1"]')
    assert len(plot.find_elements(By.CSS_SELECTOR, ".scatterlayer .point")) >= 12
    lines = plot.find_elements(By.CSS_SELECTOR, ".js-line")
    (front,) = [line.get_attribute("d") for line in lines]
    assert min(front.count("H"), front.count("V")) >= n_best - 1  # steps
    rows = browser.find_elements(By.CSS_SELECTOR, "#front tbody tr")
    assert len(rows) == n_best


def test_labels_of_one_axis_do_not_overlap(fresh: webdriver.Chrome) -> None:
    overlaps = fresh.execute_script("""
      return [...document.querySelectorAll('.xaxislayer-above')].filter((layer) => {
        const boxes = [...layer.querySelectorAll('.xtick text')]
          .filter((text) => !/rotate\\((?!0)/.test(text.getAttribute('transform') ?? ''))
          .map((text) => text.getBoundingClientRect()).sort((a, b) => a.left - b.left);
        return boxes.some((box, i) => i > 0 && box.left < boxes[i - 1].right);
      }).map((layer) => layer.textContent);
    """)
    assert overlaps == []


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_never_scrolls_sideways(fresh: webdriver.Chrome, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    fresh.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        root = "document.documentElement"
        wait(fresh, f"return innerWidth === {width}")
        assert fresh.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth")
    finally:
        fresh.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def column(browser: webdriver.Chrome, index: int) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll('#trials tbody tr')].filter((row) => !row.hidden)"
        f".map((row) => row.cells[{index}].textContent.trim())"
    )


def test_columns_sort_by_keyboard(fresh: webdriver.Chrome) -> None:
    heading = fresh.find_element(By.CSS_SELECTOR, "th[data-name=accuracy]")
    button = heading.find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.ENTER)
    up = [float(text) for text in column(fresh, 2) if text]
    assert heading.get_attribute("aria-sort") == "ascending"
    assert up == sorted(up)
    button.send_keys(Keys.SPACE)
    down = [float(text) for text in column(fresh, 2) if text]
    assert heading.get_attribute("aria-sort") == "descending"
    assert down == sorted(up, reverse=True)
    assert column(fresh, 2)[-1] == ""  # without a score, last in both directions
    assert len(fresh.find_elements(By.CSS_SELECTOR, "th[aria-sort]")) == 1


@pytest.mark.parametrize(
    ("words", "n_rows"),
    [
        ("outcome=complete", 24),
        ("outcome!=complete", 4),
        ("trial<5", 5),
        ("trial>=5 trial<8", 3),
        ("SGD outcome=complete", 8),
        ("lr>0 outcome=complete", 24),
        ("SGD.lr>0 outcome=complete", 8),
        ("memory", 1),
        ("nothing like it", 0),
    ],
)
def test_rows_are_filtered(fresh: webdriver.Chrome, words: str, n_rows: int) -> None:
    fresh.find_element(By.ID, "filter").send_keys(words)
    assert len(column(fresh, 0)) == n_rows
    assert fresh.find_element(By.ID, "shown").text == f"{n_rows} of 28 trials"


def test_a_link_leads_to_a_row_that_the_filter_hides(fresh: webdriver.Chrome) -> None:
    link = fresh.find_element(By.CSS_SELECTOR, '.finding a[href^="#trial-"]')
    fresh.find_element(By.ID, "filter").send_keys("nothing like it")
    assert column(fresh, 0) == []
    link.send_keys(Keys.ENTER)
    assert column(fresh, 0) == [link.text]
    assert fresh.switch_to.active_element.get_attribute("id") == f"trial-{link.text}"


def test_an_outcome_is_hidden_in_every_plot(fresh: webdriver.Chrome) -> None:
    visible = """
      return [...document.querySelectorAll('.canvas')].flatMap((element) => element.data)
        .filter((trace) => trace.legendgroup === 'pruned').map((trace) => trace.visible);
    """
    assert set(fresh.execute_script(visible)) == {True}
    button = fresh.find_element(By.CSS_SELECTOR, "[data-outcome=pruned]")
    button.send_keys(Keys.ENTER)
    assert button.get_attribute("aria-pressed") == "false"
    assert set(fresh.execute_script(visible)) == {False}


def test_light_and_dark(fresh: webdriver.Chrome) -> None:
    colours = """
      const root = getComputedStyle(document.body);
      const point = document.querySelector('[data-plot=history] .point');
      return [root.backgroundColor, root.color, getComputedStyle(point).stroke];
    """
    before = fresh.execute_script(colours)
    fresh.find_element(By.ID, "theme").send_keys(Keys.ENTER)
    after = fresh.execute_script(colours)
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_the_system_s_wish_is_followed(fresh: webdriver.Chrome) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    found = []
    for wish in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": wish}]
        fresh.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        fresh.refresh()
        found.append(fresh.execute_script(background))
    fresh.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found[0] != found[1]


def test_foreign_text_does_nothing(browser: webdriver.Chrome, tmp_path: Path) -> None:
    study = nasty(tmp_path)
    opened(browser, tmp_path / "page.html", page_of(study))
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.scripts.length") == 3
    assert browser.execute_script("return document.images.length") == 0
    assert browser.find_element(By.TAG_NAME, "h1").text == study.name
    assert {url.partition(":")[0] for url in requests(browser)} <= {"file", "data", "blob"}


def test_a_comparison(browser: webdriver.Chrome, tmp_path: Path) -> None:
    other = [(mlp(0.01 * (n + 1)), complete(0.8 + n / 100, 0.81 + n / 100)) for n in range(10)]
    urls = (made(tmp_path / "a", usual()), made(tmp_path / "b", other, name="other"))
    comparison = compared([read_study(url) for url in urls])
    opened(browser, tmp_path / "page.html", comparison_page(comparison))
    assert browser.get_log("browser") == []
    assert all(size > 60 for _, size, _ in browser.execute_script(SIZES))


def test_a_thousand_trials_fit(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """4 MB, plotly.js and every trial's row included."""
    unit = FloatDistribution(0.0, 1.0)
    trials = []
    for n in range(1000):
        extra = {f"model.MLP.extra_{k}": (math.sin(n * k + n) / 2 + 0.5, unit) for k in range(12)}
        value = 0.9 + math.sin(n) / 20
        trials.append((mlp(10 ** -(1 + n % 30 / 10), 8 + n % 200) | extra, complete(value, value)))
    path = tmp_path / "page.html"
    opened(browser, path, page_of(read_study(made(tmp_path, trials))))
    assert path.stat().st_size <= 4e6
    assert len(browser.find_elements(By.CSS_SELECTOR, "#trials tbody tr")) == 1000
    assert all(size > 100 for _, size, _ in browser.execute_script(SIZES))
