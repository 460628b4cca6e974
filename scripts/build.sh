#!/usr/bin/env bash
# Configures and builds a preset of CMakePresets.json, quietly; its output goes to
# build/<preset>.log and is shown when it fails.
#   scripts/build.sh [preset, default release] [more arguments for cmake's configure step]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1:-release}
[ $# -eq 0 ] || shift

options=("$@")
if command -v ccache >/dev/null; then
    options+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
fi
if [ -x build/venv/bin/python ]; then # tests that compare with independent clients use it
    options+=("-DPython3_EXECUTABLE=$PWD/build/venv/bin/python")
fi
case $preset in
clang | fuzz)
    compiler=$(command -v clang-14 || command -v clang) || {
        echo "build: preset $preset needs clang: scripts/deps.sh --test" >&2
        exit 69
    }
    options+=("-DCMAKE_C_COMPILER=$compiler")
    ;;
esac

mkdir -p build
log=build/$preset.log
started=$SECONDS
echo "build: preset $preset (log: $log)" >&2
if ! { cmake --preset "$preset" "${options[@]}" && cmake --build --preset "$preset"; } >"$log" 2>&1; then
    # The errors, when the compiler said some, else the end of the log.
    grep -nE -A 4 'error:|CMake Error|FAILED:|undefined reference' "$log" | head -n 60 >&2 || tail -n 40 "$log" >&2
    echo "build: preset $preset failed (log: $log)" >&2
    exit 1
fi
echo "build: preset $preset is built ($((SECONDS - started)) s)" >&2
