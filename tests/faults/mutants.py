"""Takes out each guarding mechanism in turn (mutants.txt) and shows that its case of the matrix fails.

    mutants [a word of the mechanisms to try] [--cluster FOLDER] [--tries N]

Goal: the fault tests are as sharp as they look. Method: a copy of the sources, one edit, the program built
anew, the case run against it; where chance has a part, up to N times (default 3) until it fails. Prints a
table. Fails if a mutant survives, and if one is broken: its edit finds no place, or it does not build. The
program as it is must pass all these cases first.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster import Cluster

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def mutants(word: str) -> list:
    lines = (HERE / "mutants.txt").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    return [row for row in rows if word in row[0]]


class Copy:
    """The sources in a folder of their own, built there."""

    def __init__(self, folder: Path):
        self.folder = folder
        names = subprocess.run(["git", "ls-files", "-z", "src", "cmake", "schemas", "CMakeLists.txt"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
        for name in names.stdout.decode().split("\0"):
            if name and (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.environment = dict(os.environ, CCACHE_NOHASHDIR="1", CCACHE_BASEDIR=str(folder))
        options = ["-DCMAKE_BUILD_TYPE=Release"]
        if shutil.which("ccache"):
            options.append("-DCMAKE_C_COMPILER_LAUNCHER=ccache")
        self.run("cmake", "-G", "Ninja", "-S", folder, "-B", folder / "build", *options, check=True)

    def run(self, *command, check: bool = False):
        return subprocess.run([*map(str, command)], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=check)

    def build(self) -> str:
        """The words of what is wrong, "" when it is built."""
        done = self.run("ninja", "-C", self.folder / "build", "mtf")
        if done.returncode == 0:
            return ""
        return next((line for line in done.stdout.splitlines() if "error" in line), done.stdout[-200:])

    @property
    def program(self) -> Path:
        return self.folder / "build" / "mtf"


def case_fails(program: Path, cluster: Cluster, case: str) -> str:
    """The words of its failure, "" when it passes."""
    command = [sys.executable, "-B", HERE / "matrix.py", program, cluster.folder, case]
    try:
        done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return "hung, stopped after 300 s"
    if done.returncode == 0:
        return ""
    lines = done.stdout.splitlines()
    return next((l for l in lines if "FAILED" in l), lines[-1] if lines else "").removeprefix(f"{case}: FAILED: ")[:110] or "failed"


def try_one(copy: Copy, cluster: Cluster, row: list, tries: int) -> str:
    _, name, edit, case = row
    source, mutant = ROOT / name, copy.folder / name
    before = source.read_bytes()
    try:
        subprocess.run(["sed", "-E", "-z", "-i", edit, mutant], check=True)
        if mutant.read_bytes() == before:
            return f"BROKEN, no such place in {name}"
        wrong = copy.build()
        if wrong:
            return f"BROKEN, does not build: {wrong}"
        for _ in range(tries):
            words = case_fails(copy.program, cluster, case)
            if words:
                return f"{case}: {words}"
        return "SURVIVED"
    finally:
        mutant.write_bytes(before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--cluster", default="", help="one that is up; default: one of its own")
    parser.add_argument("--tries", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mtf-mutants-"))
    cluster = Cluster(Path(options.cluster or folder / "cluster"))
    try:
        cluster.up()
        copy = Copy(folder / "copy")
        wrong = copy.build()
        if wrong:
            print(f"mutants: the sources as they are do not build: {wrong}")
            return 1
        plain = copy.program.with_name("mtf-plain")
        shutil.copy(copy.program, plain)
        rows = mutants(options.word)
        for case in dict.fromkeys(row[3] for row in rows):
            words = case_fails(plain, cluster, case)
            if words:
                print(f"mutants: {case} fails with the sources as they are: {words}")
                return 1
        survived = broken = 0
        for row in rows:
            words = try_one(copy, cluster, row, options.tries)
            survived += words == "SURVIVED"
            broken += words.startswith("BROKEN")
            print(f"{row[0]:<50} {words}", flush=True)
        print(f"{len(rows)} mechanisms taken out, {survived} not noticed, {broken} broken mutants")
        return 0 if rows and not survived and not broken else 1
    finally:
        if not options.cluster:
            cluster.down()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
