#!/usr/bin/env bash
# Runs a script below tests with the interpreter of scripts/python-env.sh: python.sh SCRIPT ARGUMENTS...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$("$here/../scripts/python-env.sh")
script=$here/$1
shift
exec "$python" -B "$script" "$@"
