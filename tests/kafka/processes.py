"""What the tests on brokers share: mtf's processes, their outputs kept in a folder; waiting; free ports; a main."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import records


class Failed(Exception):
    """What the test asks for did not happen; the words say what."""


def wait_until(what: str, limit_s: float, reached, each_s: float = 0.1):
    """Returns the first true value of reached(), called every each_s."""
    deadline = time.monotonic() + limit_s
    while True:
        value = reached()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {limit_s} s")
        time.sleep(each_s)


def main(usage: str, run) -> int:
    """Of a test that is called as `NAME.py MTF FOLDER`: run(mtf, folder); its exit code."""
    if len(sys.argv) != 3:
        print(usage, file=sys.stderr)
        return 64
    try:
        run(str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve())
    except (Failed, records.Broken) as error:
        print(f"{Path(sys.argv[0]).stem}: FAILED: {error}", file=sys.stderr)
        return 1
    return 0


class Processes:
    """`mtf` processes by name: NAME.out and NAME.log in the folder hold what they wrote (a process
    started again appends). Whatever happens, none outlives this object."""

    def __init__(self, mtf: str, folder: Path):
        self.mtf = mtf
        self.folder = folder
        self.running = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        if kind is not None:
            for log in sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")]):
                print(f"--- the end of {log}\n{self.tail(log)}", flush=True)

    @staticmethod
    def tail(log: Path) -> str:
        return log.read_text(errors="replace")[-2000:]

    def start(self, name: str, *arguments):
        with open(self.folder / f"{name}.out", "ab") as out, open(self.folder / f"{name}.log", "ab") as log:
            command = [self.mtf, *map(str, arguments)]
            self.running[name] = subprocess.Popen(command, stdout=out, stderr=log, cwd=self.folder)

    def run(self, name: str, *arguments, limit_s: float = 60) -> str:
        """Runs to the end, which must be code 0 while the others go on; its standard output."""
        self.start(name, *arguments)
        wait_until(f"the end of {name}", limit_s, lambda: self.has_ended(name))
        return (self.folder / f"{name}.out").read_text()

    def has_ended(self, name: str) -> bool:
        for other, process in self.running.items():
            if process.poll() is not None and (process.returncode != 0 or other != name):
                raise Failed(f"{other} left by itself with code {process.returncode}")
        ended = self.running[name].poll() is not None
        if ended:
            del self.running[name]
        return ended

    def stop(self, name: str):
        """SIGTERM, upon which it must leave with 0."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"{name} did not leave within 60 s of SIGTERM") from None
        if code != 0:
            raise Failed(f"{name} left with code {code} on SIGTERM")

    def kill(self, name: str):
        process = self.running.pop(name)
        process.kill()
        if process.wait() != -signal.SIGKILL:
            raise Failed(f"{name} had left by itself with code {process.returncode}")
