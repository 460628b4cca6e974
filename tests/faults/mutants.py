"""Takes out each guarding mechanism in turn (mutants.txt) and shows that its test fails without it.

    mutants [a word of the mechanisms to try] [--tests] [--brokers] [--cluster FOLDER] [--tries N]
    mutants --places        only whether every edit finds its place: here and in sessionize/mutants.txt

Goal: the tests are as sharp as they look. Method: a copy of the sources, one edit, what the test needs
built anew, the test run. A test is a case of matrix.py on brokers (--brokers: these only; where chance has
a part, up to N times, default 3, until it fails) or a function of a test program (--tests: these only).
Prints a table. Fails if a mutant survives, and if one is broken: its edit finds no place, or it does not
build. With the sources as they are all these tests must pass first.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUNS_S = {True: 60, False: 300}  # a function of a test program; a case on brokers


def rows_of(path: Path) -> list:
    return [line.split(" | ") for line in path.read_text().splitlines() if line and not line.startswith("#")]


def is_function(test: str) -> bool:
    return test.startswith("test_")


def edited(edit: str, source: bytes) -> bytes:
    return subprocess.run(["sed", "-E", "-z", edit], input=source, stdout=subprocess.PIPE, check=True).stdout


def places() -> int:
    rows = [(name, ROOT / source, edit) for name, source, edit, _ in rows_of(HERE / "mutants.txt")]
    sessionizer = rows_of(HERE.parent / "sessionize" / "mutants.txt")
    rows += [(name, ROOT / "src" / "sessionize" / source, edit) for name, source, edit in sessionizer]
    lost = [row for row in rows if edited(row[2], row[1].read_bytes()) == row[1].read_bytes()]
    for name, source, _ in lost:
        print(f"{name}: no such place in {source.relative_to(ROOT)}")
    print(f"{len(rows)} mutants, {len(lost)} without a place")
    return 0 if rows and not lost else 1


class Copy:
    """The sources in a folder of their own, built there as the release is."""

    def __init__(self, folder: Path):
        self.folder = folder
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        for name in names.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.environment = dict(os.environ, CCACHE_NOHASHDIR="1", CCACHE_BASEDIR=str(folder))
        options = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
        self.run("cmake", "--preset", "release", *options, check=True)

    def run(self, *command, check: bool = False):
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=check
        )

    def build(self, tests) -> str:
        """What these tests need. The words of what is wrong, "" when it is built."""
        targets = sorted({test.split(".")[0] if is_function(test) else "mtf" for test in tests})
        done = self.run("ninja", "-C", "build/release", *targets)
        if done.returncode == 0:
            return ""
        return next((line for line in done.stdout.splitlines() if "error" in line), done.stdout[-200:])

    def program(self, test: str) -> Path:
        build = self.folder / "build" / "release"
        if not is_function(test):
            return build / "mtf"
        return next(path for path in build.glob(f"tests/*/{test.split('.')[0]}") if path.is_file())


def failure(copy: Copy, cluster, test: str) -> str:
    """The words of its failure, "" when it passes."""
    environment = dict(os.environ)
    if is_function(test):
        environment["MTF_TEST_ONLY"] = test.split(".")[1]
        command = [copy.program(test)]
    else:
        command = [sys.executable, "-B", HERE / "matrix.py", copy.program(test), cluster.folder, test]
    limit_s = RUNS_S[is_function(test)]
    try:
        done = subprocess.run(
            command, cwd=copy.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return f"hung, stopped after {limit_s} s"
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode == 0 and is_function(test) and not any("PASSED  ] 1 test" in line for line in lines):
        return "there is no such test"
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"stopped by signal {-done.returncode}"
    where = re.findall(r"(tests/\S+:\d+): error: Failure!", "\n".join(lines)) if is_function(test) else []
    words = where or [l for l in lines if "FAILED: " in l] or lines[-1:] or ["failed"]
    return words[0].removeprefix(f"{test}: FAILED: ")[:110]


def try_one(copy: Copy, cluster, row: list, tries: int) -> str:
    _, name, edit, test = row
    mutant = copy.folder / name
    before = mutant.read_bytes()
    after = edited(edit, before)
    if after == before:
        return f"BROKEN, no such place in {name}"
    try:
        mutant.write_bytes(after)
        wrong = copy.build([test])
        if wrong:
            return f"BROKEN, does not build: {wrong}"
        for _ in range(1 if is_function(test) else tries):
            words = failure(copy, cluster, test)
            if words:
                return f"{test}: {words}"
        return f"SURVIVED {test}"
    finally:
        mutant.write_bytes(before)


def try_all(copy: Copy, cluster, rows: list, tries: int) -> int:
    tests = list(dict.fromkeys(row[3] for row in rows))
    wrong = copy.build(tests)
    if wrong:
        print(f"mutants: the sources as they are do not build: {wrong}")
        return 1
    for test in tests:
        words = failure(copy, cluster, test)
        if words:
            print(f"mutants: {test} fails with the sources as they are: {words}")
            return 1
    survived = broken = 0
    for row in rows:
        words = try_one(copy, cluster, row, tries)
        survived += words.startswith("SURVIVED")
        broken += words.startswith("BROKEN")
        print(f"{row[0]:<58} {words}", flush=True)
    print(f"{len(rows)} mechanisms taken out, {survived} not noticed, {broken} broken mutants")
    return 0 if rows and not survived and not broken else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--places", action="store_true")
    parser.add_argument("--tests", action="store_true")
    parser.add_argument("--brokers", action="store_true")
    parser.add_argument("--cluster", default="", help="one that is up; default: one of its own")
    parser.add_argument("--tries", type=int, default=3)
    options = parser.parse_args()
    if options.places:
        return places()
    both = options.tests == options.brokers
    rows = [r for r in rows_of(HERE / "mutants.txt") if options.word in r[0] and (both or options.tests == is_function(r[3]))]
    folder = Path(tempfile.mkdtemp(prefix="mtf-mutants-"))
    cluster = None
    try:
        if not all(is_function(row[3]) for row in rows):
            from cluster import Cluster  # which wants packages that the rest does not

            cluster = Cluster(Path(options.cluster or folder / "cluster"))
            cluster.up()
        return try_all(Copy(folder / "copy"), cluster, rows, options.tries)
    finally:
        if cluster and not options.cluster:
            cluster.down()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
