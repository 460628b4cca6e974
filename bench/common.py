"""What the benchmarks share: the build, an environment for the rivals, and the line a figure is printed as."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"


def run(command: list) -> str:
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} left with code {done.returncode}")
    return done.stdout


def build() -> None:
    """The release build, as a user has it."""
    run([ROOT / "scripts" / "build.sh", "release"])


def enter_venv(name: str) -> None:
    """Goes on in build/bench-NAME, a virtual environment with rivals/requirements-NAME.txt, made at the first call."""
    venv, wanted = ROOT / "build" / f"bench-{name}", ROOT / "bench" / "rivals" / f"requirements-{name}.txt"
    python, stamp = venv / "bin" / "python", venv / "requirements.txt"
    if Path(sys.prefix) == venv:
        return
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        print(f"# making {venv.relative_to(ROOT)}", file=sys.stderr)
        run([sys.executable, "-m", "venv", venv])
        run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", wanted])
        stamp.write_text(wanted.read_text())
    os.execv(python, [str(python), *sys.argv])


def enter_tests_venv() -> None:
    """Goes on with the packages of tests/requirements.txt, in build/venv."""
    python = run([ROOT / "scripts" / "python-env.sh"]).strip()
    if sys.executable != python:
        os.execv(python, [python, *sys.argv])


def ratio(a: float, b: float, digits: int = 3):
    return float(f"{a / b:.{digits}g}")


def figure(bench: str, name: str, ours: float, unit: str, rival, limit, smaller_is_better: bool = False) -> None:
    """rival_ratio: how many times better than the best rival; limit_ratio: share of the limit reached."""
    better = (lambda a, b: ratio(b, a)) if smaller_is_better else ratio
    line = {
        "bench": bench,
        "figure": name,
        "ours": float(f"{ours:.4g}"),
        "unit": unit,
        "rival": rival and float(f"{rival:.4g}"),
        "limit": limit and float(f"{limit:.4g}"),
        "rival_ratio": rival and better(ours, rival),
        "limit_ratio": limit and better(ours, limit),
    }
    print(json.dumps(line), flush=True)
