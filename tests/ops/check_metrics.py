#!/usr/bin/env python3
"""Goal: the exposition is what Prometheus takes it for, and keeps its conventions. Method: every
family of the program through promtool where there is one, and through prometheus_client's parser.
    check_metrics.py METRICS_PAGE
Exit code 77: neither is here (scripts/python-env.sh)."""
import re
import shutil
import subprocess
import sys

NOT_BASE_UNITS = ("_ms", "_millis", "_milliseconds", "_kb", "_mb", "_minutes", "_percent")
LABEL = re.compile(r'^[a-z][a-z0-9_]*$')


def conventions(families):
    for family in families:
        # The parser takes "_total" off a counter's name.
        names = {sample.name for sample in family.samples}
        assert family.type in ("counter", "gauge"), family
        assert family.documentation, f"{family.name} has no help"
        wanted = family.name + "_total" if family.type == "counter" else family.name
        assert names == {wanted}, f"{family.name}: {names}"
        assert family.name.startswith(("mtf_", "process_")), family.name
        assert not family.name.endswith(NOT_BASE_UNITS), f"{family.name}: seconds and bytes only"
        labels = [tuple(sorted(sample.labels.items())) for sample in family.samples]
        assert len(labels) == len(set(labels)), f"{family.name}: a set of labels comes twice"
        for sample in family.samples:
            assert all(LABEL.match(name) for name in sample.labels), sample


def main():
    page = sys.argv[1]
    text = subprocess.run([page, "--text"], check=True, capture_output=True, text=True).stdout
    checked = []
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True)
        checked.append("promtool")
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        print("prometheus_client is not installed: scripts/python-env.sh")
    else:
        families = list(text_string_to_metric_families(text))
        assert len(families) == text.count("# TYPE "), "families that are not told apart"
        assert len({family.name for family in families}) == len(families)
        conventions(families)
        policy = [s.labels["policy"] for f in families if f.name == "mtf_policy_version"
                  for s in f.samples]
        assert policy == ['a "policy"\\\n'], policy
        checked.append(f"prometheus_client: {len(families)} families")
    if not checked:
        return 77
    print("; ".join(checked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
