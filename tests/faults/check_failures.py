#!/usr/bin/env python3
"""docs/failures.md says only what is there: its tests are ctest's and their functions are in the sources, its log
lines and their keys are written by src/, its metrics are in docs/metrics.md, its settings in docs/settings.md, its
commands and options in their --help, its exit codes in the README; and every case of matrix.py is on it.

    check_failures.py MTF BUILD
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Names of Kafka's and librdkafka's own, and of records' fields.
FOREIGN = r"kafka\.producer\.|(session|transaction|max\.poll|topic\.metadata)\.|message\.timestamp\.type|cleanup\.policy|max\.message\.bytes|unclean\."


def read(path: str) -> str:
    return (ROOT / path).read_text()


def said_by(*command) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def log_lines() -> dict:
    """name: the words of all calls that write it."""
    lines = {}
    for path in (ROOT / "src").rglob("*.c"):
        text = path.read_text()
        calls = re.findall(r"mtf_log_line\((.*?)\);", text, re.S)
        for call in calls:
            literals = re.findall(r'"((?:[^"\\]|\\.)*)"', call)
            for name in (l for l in literals if re.fullmatch(r"[a-z]+(\.[a-z_]+)?", l)):
                lines[name] = lines.get(name, "") + call
        for name in re.findall(r"msg=([a-z]+\.[a-z_]+)", text):
            lines.setdefault(name, "")
    return lines


class Checker:
    def __init__(self, mtf: str, build: str):
        self.mtf = mtf
        self.tests = set(re.findall(r"Test +#\d+: (\S+)", said_by("ctest", "--test-dir", build, "-N")))
        self.lines = log_lines()
        self.metrics = set(re.findall(r"`(mtf_[a-z_]+)`", read("docs/metrics.md")))
        self.settings = set(re.findall(r"^\| `([a-z_.]+)`", read("docs/settings.md"), re.M))
        self.codes = set(re.findall(r"\d+", read("README.md").split("## Exit codes")[1].split("##")[0]))
        self.helps = {}

    def help_of(self, command: str) -> str:
        if command not in self.helps:
            self.helps[command] = said_by(self.mtf, command, "--help")
        return self.helps[command]

    def test(self, name: str) -> bool:
        program, _, function = name.partition(".")
        if program not in self.tests:
            return False
        sources = [p for p in (ROOT / "tests").rglob(f"{program}.c")]
        return not function or any(re.search(rf"^static void {function}\(void \*\*", p.read_text(), re.M) for p in sources)

    def command(self, text: str) -> bool:
        command, *words = text.split()[1:]
        if not re.search(rf"^  {command} ", said_by(self.mtf, "--help"), re.M):
            return False
        usage = self.help_of(command)
        verbs = re.search(rf"^usage: mtf {command} (\S+)", usage.replace(" [FILE]", ""))
        if words and not words[0].startswith("-"):
            if not verbs or words.pop(0) not in verbs[1].split("|"):
                return False
        return all(re.search(rf"^  (-\w, )?{w} ", usage, re.M) for w in words if w.startswith("--"))

    def wrong(self, text: str) -> str:
        """What a piece of code on the page is taken for, if it is not that."""
        first, *rest = text.split()
        if re.match(r"(test|faults|kafka)_[a-z0-9_]+(\.\w+)?$", text):
            return "" if self.test(text) else "no test"
        if text.startswith("mtf_"):
            return "" if text in self.metrics else "no metric"
        if first == "mtf":
            return "" if self.command(text) else "no command"
        if first in self.lines and (rest or first not in self.settings):
            missing = [w for w in rest if w.split("=")[0] + "=" not in self.lines[first]]
            return f"no {missing} in that log line" if missing else ""
        if re.fullmatch(r"[a-z]+\.[a-z_.]+", text) and not text.startswith("mtf.") and not re.match(FOREIGN, text):
            return "" if text in self.settings else "no log line and no setting"
        return ""


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 64
    page = read("docs/failures.md")
    checker = Checker(*sys.argv[1:])
    pieces = re.findall(r"`([^`]+)`", page)
    wrong = [f"`{piece}`: {why}" for piece in dict.fromkeys(pieces) if (why := checker.wrong(piece))]
    wrong += [f"code {code}: not in the README" for code in set(re.findall(r"\bcode (\d+)", page)) - checker.codes]
    wrong += [f"`{name}`: no setting" for name in re.findall(r"\b(sessionize\.\w+_ms)\b", page) if name not in checker.settings]
    for row in (l for l in page.splitlines() if l.startswith("| ") and not l.startswith("| Fault")):
        if not re.search(r"`(test|faults|kafka)_", row.split("|")[-2]):
            wrong.append(f"no test in the row: {row[:80]}")
    cases = re.findall(r"^@case\ndef (\w+)", read("tests/faults/matrix.py"), re.M)
    wrong += [f"`faults_{case}` of matrix.py is on no row" for case in cases if f"faults_{case}" not in pieces]
    print("\n".join(f"docs/failures.md: {w}" for w in wrong) or f"{len(set(pieces))} names, {len(cases)} cases: all there")
    return 1 if wrong or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
