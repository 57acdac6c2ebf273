"""What reading and preparing data costs, against pandas and scikit-learn doing the same.

    OMP_NUM_THREADS=1 python tests/benchmarks/loading.py [--scale 0.1] [--cases wide long]

Makes seeded data in a temporary folder and measures whole processes, imports included: CPU seconds
and peak memory of `tunecli check`, first without and then with its cache, and of a script that
reads the same data with pandas (pictures: Pillow), divides off a fifth, imputes, standardizes and
encodes with scikit-learn, and ends with float32 arrays. `check` does more: it looks at every cell
for what a user should know, compares the files with the settings, and trains a small model for two
batches; `nothing` is the same on a table of 100 rows, which is the cost of that alone. `--scale`
multiplies the numbers of rows (`wide`: also of columns). Commands and script alternate; the ratios
are medians. Aims: at most 2 × time and 2 × memory for the first `check`, 0.3 × for the second.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from PIL import Image

MODEL = "model: {MLP: {width: 4}}\noptimizer: {SGD: {lr: 0.01}}\ntraining: {epochs: 1}\n"
SOURCE = "data: {source: FILE, target: target, task: classification}\n"

TABLE_SCRIPT = """
import sys, numpy as np, pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler
path = sys.argv[1]
frame = pd.read_parquet(path) if path.endswith(".parquet") else pd.read_csv(path)
y = LabelEncoder().fit_transform(frame.pop("target"))
train, valid, y_train, y_valid = train_test_split(frame, y, test_size=0.2, random_state=0)
numbers = make_pipeline(SimpleImputer(), StandardScaler())
rare = {"min_frequency": 0.01, "handle_unknown": "infrequent_if_exist"}
codes = OneHotEncoder(**rare, sparse_output=False)
transform = make_column_transformer(
    (numbers, make_column_selector(dtype_include="number")),
    (codes, make_column_selector(dtype_exclude="number")),
)
rows = [transform.fit_transform(train).astype(np.float32)]
rows.append(transform.transform(valid).astype(np.float32))
"""

PICTURE_SCRIPT = """
import sys, numpy as np
from pathlib import Path
from PIL import Image
from sklearn.model_selection import train_test_split
paths = sorted(Path(sys.argv[1]).glob("*/*.png"))
x = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
y = np.array([path.parent.name == "one" for path in paths])
train, valid, y_train, y_valid = train_test_split(x, y, test_size=0.2, random_state=0)
mean, std = train.mean(axis=(0, 1, 2)), train.std(axis=(0, 1, 2))
rows = [((part - mean) / std).astype(np.float32) for part in (train, valid)]
"""


@dataclass(frozen=True)
class Case:
    """Data of one kind.

    Attributes:
        title: its size, for people.
        write: makes the data in a folder, and returns the path.
        script: the program of the alternative.
        settings: the study file, in which FILE is the path.
        reader: what the alternative reads with.
    """

    title: str
    write: Callable[[Path], Path]
    script: str = TABLE_SCRIPT
    settings: str = SOURCE + MODEL
    reader: str = "pandas and scikit-learn"


def numbers(n_rows: int, n_columns: int) -> pd.DataFrame:
    """Return a table of numbers with six digits, and a target of three classes."""
    random = np.random.default_rng(0)
    values = random.normal(size=(n_rows, n_columns)).round(6)
    frame = pd.DataFrame(values, columns=[f"x{index}" for index in range(n_columns)])
    return frame.assign(target=random.choice(["red", "green", "blue"], n_rows))


def with_categories(frame: pd.DataFrame, n_columns: int, n_categories: int) -> pd.DataFrame:
    """Return the table with columns of texts."""
    random = np.random.default_rng(1)
    columns = {
        f"c{index}": np.char.add("city ", random.integers(0, n_categories, len(frame)).astype(str))
        for index in range(n_columns)
    }
    return frame.assign(**columns)


def csv(frame: Callable[[], pd.DataFrame]) -> Callable[[Path], Path]:
    """Return a function that writes a table as CSV."""

    def write(folder: Path) -> Path:
        frame().to_csv(folder / "table.csv", index=False)
        return folder / "table.csv"

    return write


def parquet(frame: Callable[[], pd.DataFrame]) -> Callable[[Path], Path]:
    """Return a function that writes a table as Parquet."""

    def write(folder: Path) -> Path:
        frame().to_parquet(folder / "table.parquet", index=False)
        return folder / "table.parquet"

    return write


def pictures(n_pictures: int) -> Callable[[Path], Path]:
    """Return a function that writes pictures of 16 × 16 into a folder per class."""

    def write(folder: Path) -> Path:
        pixels = np.random.default_rng(0).integers(0, 256, (n_pictures, 16, 16, 3), np.uint8)
        for index, picture in enumerate(pixels):
            path = folder / "pictures" / ("zero", "one")[index % 2] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
        return folder / "pictures"

    return write


def cases(scale: float) -> dict[str, Case]:
    """Return the data to measure, by name."""

    def rows(n: int) -> int:
        return max(round(scale * n), 100)

    n_wide = max(round(scale**0.5 * 5000), 10)
    return {
        "nothing": Case("100 rows × 5", csv(lambda: numbers(100, 5))),
        "wide": Case(f"{n_wide:,} rows × {n_wide:,}", csv(lambda: numbers(n_wide, n_wide))),
        "long": Case(
            f"{rows(1_000_000):,} rows × 20",
            csv(lambda: with_categories(numbers(rows(1_000_000), 18), 2, 20)),
        ),
        "both": Case(f"{rows(100_000):,} rows × 500", csv(lambda: numbers(rows(100_000), 500))),
        "categories": Case(
            f"{rows(200_000):,} categories",
            csv(lambda: with_categories(numbers(rows(1_000_000), 4), 1, rows(200_000))),
        ),
        "parquet": Case(
            f"Parquet, {rows(5_000_000):,} rows × 6",
            parquet(lambda: with_categories(numbers(rows(5_000_000), 5), 1, 20)),
        ),
        "pictures": Case(
            f"{rows(50_000):,} pictures",
            pictures(rows(50_000)),
            PICTURE_SCRIPT,
            "data: FILE/\n" + MODEL,
            "Pillow and numpy",
        ),
    }


@dataclass(frozen=True)
class Cost:
    """Seconds of processors and of the clock, and peak memory in MB, with child processes."""

    cpu: float
    wall: float
    memory: float

    @classmethod
    def of(cls, folder: Path, *words: str) -> Cost:
        """Run Python with these arguments and return what it cost."""
        begun = time.perf_counter()
        with (folder / "errors").open("wb") as errors:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": errors}
            process = subprocess.Popen([sys.executable, *words], cwd=folder, **quiet)
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, (folder / "errors").read_text()[-2000:]
        wall = time.perf_counter() - begun
        return cls(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


@dataclass(frozen=True)
class Data:
    """The data of a case in a folder, with the two programs that read it."""

    folder: Path
    path: Path

    @classmethod
    def of(cls, case: Case, folder: Path) -> Data:
        """Make the data of a case."""
        path = case.write(folder)
        (folder / "study.yaml").write_text(case.settings.replace("FILE", path.name))
        (folder / "script.py").write_text(case.script)
        return cls(folder, path)

    def first(self) -> Cost:
        """Run `check` without its cache."""
        shutil.rmtree(self.folder / "runs", ignore_errors=True)
        return self.second()

    def second(self) -> Cost:
        """Run `check` again."""
        return Cost.of(self.folder, "-m", "tunecli", "check", "study.yaml")

    def theirs(self) -> Cost:
        """Run the script."""
        return Cost.of(self.folder, "script.py", self.path.name)


def measured(data: Data, n_repeats: int) -> Iterator[tuple[Cost, Cost, Cost]]:
    """Yield what the first and the second `check` and the script cost."""
    for _ in range(n_repeats):
        first, theirs = data.first(), data.theirs()
        yield first, data.second(), theirs


def line(name: str, case: Case, costs: list[tuple[Cost, Cost, Cost]]) -> str:
    """Return a row of the table."""
    first, second, theirs = zip(*costs, strict=True)

    def ratio(ours: tuple[Cost, ...], what: str) -> float:
        pairs = zip(ours, theirs, strict=True)
        return median(getattr(one, what) / getattr(other, what) for one, other in pairs)

    cells = [
        f"{name:<11}{case.title:<30}",
        *(f"{median(one.cpu for one in costs):8.1f} s" for costs in (first, second, theirs)),
        *(f"{median(one.memory for one in costs):9.0f} MB" for costs in (first, second, theirs)),
        f"{ratio(first, 'cpu'):8.2f} × {ratio(first, 'memory'):8.2f} ×",
        f"{ratio(second, 'cpu'):8.2f} × {ratio(second, 'memory'):8.2f} ×",
    ]
    return "".join(cells)


def main() -> None:
    """Measure each case and print a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the sizes")
    parser.add_argument("--cases", nargs="+", help="names of cases; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    known = cases(options.scale)
    print(f"{'':<41}   first    second    script      first      second      script", end="")
    print("   time 1   memory 1   time 2   memory 2")
    for name in options.cases or known:
        with TemporaryDirectory() as folder:
            costs = list(measured(Data.of(known[name], Path(folder)), options.repeats))
            print(line(name, known[name], costs), flush=True)


if __name__ == "__main__":
    main()
