#!/usr/bin/env bash
# Everything that must pass, label nightly excepted: packages, builds, tests, sanitizers, format, fuzz.
# The last line is `N passed, N failed`; logs are in build/test-logs; the exit code is 0 if none failed.
#   scripts/test.sh                the whole (tests/README.md has the time budgets)
#   scripts/test.sh --label NAME   the tests of one label only, nightly too; fuzz has a build of its own
set -uo pipefail # not -e: a failed stage is counted, and the next one runs
cd "$(dirname "${BASH_SOURCE[0]}")/.."

label=
case ${1:-} in
"") ;;
--label) label=${2:?"--label wants a name: unit, golden, install, kafka, faults, fuzz, model, cli, demo, experiments or nightly"} ;;
*)
    echo "usage: scripts/test.sh [--label NAME]" >&2
    exit 64
    ;;
esac

logs=build/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=()
cores=$(nproc)

# Counts one named check: what ran, and its exit code.
record() { # name code
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        failures+=("$1")
    fi
}

# Runs a command as one named check; its output is shown only when it fails.
check() { # name command...
    local name=$1 started=$SECONDS code=0
    local log=$logs/${name// /-}.log
    shift
    "$@" >"$log" 2>&1 </dev/null || code=$?
    record "$name" $code
    if [ $code -eq 0 ]; then
        echo "$name: passed ($((SECONDS - started)) s)"
    else
        tail -n 60 "$log"
        echo "$name: FAILED with $code ($((SECONDS - started)) s, log: $log)"
    fi
    return $code
}

# Of a ctest log with failures: the end of what each failed test said (five tests at most), then ctest's list.
show_failures() { # log
    awk '
        function show(    i) {
            if (result != "" && ++shown <= 5) {
                print result
                for (i = count > 40 ? count - 40 : 0; i < count; i++) print lines[i]
            }
            result = ""
            count = 0
        }
        /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
            show()
            if (!/ Passed +[0-9.]+ sec|\*\*\*(Skipped|Not Run)/) result = $0
            next
        }
        /^ +Start +[0-9]+: |^[0-9]+% tests passed, / { show() }
        /^The following tests FAILED:/ { list = 1 }
        list
        result != "" { lines[count++] = $0 }
    ' "$1"
}

# Runs ctest on a preset and counts its tests one by one from its "n/m Test #k: name ... Passed".
run_ctest() { # stage preset ctest-arguments...
    local stage=$1 preset=$2 started=$SECONDS before_passed=$passed before_failed=$failed code=0
    local log=$logs/$stage.log outcome name
    shift 2
    # Sanitizers want their address space where they expect it.
    local plain_addresses=()
    if [[ $preset =~ asan|tsan|fuzz ]] && setarch "$(uname -m)" -R true 2>/dev/null; then
        plain_addresses=(setarch "$(uname -m)" -R)
    fi
    "${plain_addresses[@]}" ctest --preset "$preset" --output-on-failure --no-tests=ignore "$@" \
        >"$log" 2>&1 </dev/null || code=$?
    while read -r outcome name; do
        case $outcome in
        passed) passed=$((passed + 1)) ;;
        skipped)
            skipped=$((skipped + 1))
            echo "$stage: skipped $name"
            ;;
        *)
            failed=$((failed + 1))
            failures+=("$stage: $name")
            ;;
        esac
    done < <(sed -nE \
        -e 's|^ *[0-9]+/[0-9]+ Test +#[0-9]+: ([^ ]+) .* Passed +[0-9.]+ sec.*|passed \1|p;t' \
        -e 's|^ *[0-9]+/[0-9]+ Test +#[0-9]+: ([^ ]+) .*\*\*\*Skipped.*|skipped \1|p;t' \
        -e 's|^ *[0-9]+/[0-9]+ Test +#[0-9]+: ([^ ]+) .*|failed \1|p' "$log")
    if [ "$passed" -eq "$before_passed" ] && [ "$failed" -eq "$before_failed" ]; then
        record "$stage: no test ran (ctest said $code)" 1
    elif [ $code -ne 0 ] && [ "$failed" -eq "$before_failed" ]; then
        record "$stage: ctest said $code" 1
    fi
    if [ "$failed" -ne "$before_failed" ]; then show_failures "$log"; fi
    echo "$stage: $((passed - before_passed)) passed, $((failed - before_failed)) failed" \
        "($((SECONDS - started)) s, log: $log)"
}

check_format() {
    local formatter
    formatter=$(command -v clang-format-14 || command -v clang-format)
    if ! "$formatter" --version | grep -q 'version 14\.'; then
        echo "format: skipped, this machine's clang-format is not version 14"
        skipped=$((skipped + 1))
        return
    fi
    find src tests bench -name '*.[ch]' -print0 2>/dev/null | sort -z >"$logs/format.files"
    check format xargs -0 -a "$logs/format.files" "$formatter" --dry-run -Werror
}

finish() {
    local name
    for name in "${failures[@]}"; do echo "failed: $name"; done
    if [ $skipped -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ $failed -eq 0 ]
}

check "packages" scripts/deps.sh --test
# Tests find the independent clients through python3, which is the venv's from here on.
if check "python packages" scripts/python-env.sh; then
    export VIRTUAL_ENV=$PWD/build/venv PATH=$PWD/build/venv/bin:$PATH
fi

if [ -n "$label" ]; then
    build=release
    [ "$label" != fuzz ] || build=fuzz
    preset=$build
    [ "$label" != nightly ] || preset=nightly # the release build too
    check "build $build" scripts/build.sh $build && run_ctest "$label" $preset -L "^$label\$"
    finish
    exit
fi

# What wants CPU and no clock, at the lowest priority; it counts for itself.
beside() {
    renice -n 19 "$BASHPID" >/dev/null
    passed=0 failed=0 skipped=0 failures=()
    check_format
    check "build gcc -Werror" scripts/build.sh dev
    check "build clang -Werror" scripts/build.sh clang
    for sanitizer in asan tsan; do
        check "build $sanitizer" scripts/build.sh $sanitizer && run_ctest $sanitizer $sanitizer -j "$cores"
    done
    check "build fuzz" scripts/build.sh fuzz && run_ctest fuzz fuzz -j "$cores" # a minute each
    printf '%s\n' "$passed" "$failed" "$skipped" "${failures[@]}" >"$logs/beside.counts"
}

# What it counted joins the counts here.
join_beside() {
    local counts=()
    wait
    cat "$logs/beside.log"
    mapfile -t counts <"$logs/beside.counts" || record "what runs beside the labels: it did not end" 1
    passed=$((passed + ${counts[0]:-0})) failed=$((failed + ${counts[1]:-0})) skipped=$((skipped + ${counts[2]:-0}))
    failures+=("${counts[@]:3}")
}

built=false
if check "build release" scripts/build.sh release; then
    built=true
    run_ctest unit release -L '^unit$' -j "$cores"
fi
trap 'trap - TERM; kill 0' INT TERM # the background job, too
rm -f "$logs/beside.counts"
beside >"$logs/beside.log" 2>&1 &
# One at a time: they start brokers and demos, and wait for them most of the time.
if $built; then run_ctest labels labels; fi
join_beside
finish
