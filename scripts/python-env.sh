#!/usr/bin/env bash
# Makes build/venv with the packages of tests/requirements.txt, once, and prints its interpreter.
# Two callers at a time wait for each other.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/build/venv
wanted=$root/tests/requirements.txt
stamp=$venv/requirements.txt

mkdir -p "$root/build"
exec 9>"$root/build/venv.lock"
flock 9

if ! cmp -s "$wanted" "$stamp" || ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "python-env: making build/venv" >&2
    rm -rf "$venv"
    log=$root/build/venv.log
    if ! { python3 -m venv "$venv" &&
        "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --retries 5 -r "$wanted"; } \
        >"$log" 2>&1 9>&-; then
        tail -n 20 "$log" >&2
        echo "python-env: could not make build/venv (log: build/venv.log); scripts/deps.sh --test" \
            "installs python3-venv" >&2
        exit 69
    fi
    cp "$wanted" "$stamp"
fi
echo "$venv/bin/python"
