#!/usr/bin/env bash
# Takes out each rule of the sessionizer in turn (mutants.txt) and shows that a test fails without it.
# Goal: the tests are as sharp as they look. Method: a copy of the sources in a temporary folder, one
# edit, the changed file compiled, the tests linked and run until one fails. Prints a table. Fails if a
# mutant survives, and if one is broken: its edit finds no place, or it does not compile or link. A
# test that crashes or hangs for a minute counts as failing, and the table says so.
#   mutants.sh [a word of the rules to try]      CC=cc MTF_TEST_STREAMS=1500
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
compiler=${CC:-cc}
export MTF_TEST_STREAMS=${MTF_TEST_STREAMS:-1500}
tests=(machine emit loop hostile)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src/sessionize" "$work/core" "$work/part" "$work/test"
cp "$root"/src/sessionize/*.[ch] "$work/src/sessionize/"

compile() { # source object
    $compiler -std=c17 -D_POSIX_C_SOURCE=200809L -O1 -I "$work/src" -I "$root/src" -I "$root/tests" -I "$here" -c "$1" -o "$2"
}
link() { # test
    local extra=("$work/test/stream.o")
    [ "$1" = machine ] && extra+=("$work/test/oracle.o")
    [ "$1" = loop ] && extra+=("$work/test/memory.o")
    $compiler "$work/test/test_$1.o" "${extra[@]}" "$work"/part/*.o "$work/core.a" -lcmocka -lyaml -lm -lpthread \
        -o "$work/run_$1"
}
# Prints the first test that fails; nothing when all pass; BROKEN when there is no program to run.
first_failure() {
    local test output name code
    for test in "${tests[@]}"; do
        link "$test" 2>"$work/words" || { echo "BROKEN, does not link: $(grep -m 1 -E 'undefined|error' "$work/words")"; return; }
        code=0
        output=$(cd "$work" && timeout 60 "./run_$test" 2>&1) || code=$?
        [ $code -ne 0 ] || continue
        name=$(grep -aoE '^\[  FAILED  \] [a-z_]+$' <<<"$output" | head -n 1 | awk '{ print $4 }')
        if [ -z "$name" ] && [ $code -eq 124 ]; then name="hung, stopped after 60 s"; fi
        echo "$test: ${name:-stopped with code $code}"
        return
    done
}

set -e
for file in "$root"/src/core/*.c; do compile "$file" "$work/core/$(basename "$file" .c).o"; done
ar rcs "$work/core.a" "$work"/core/*.o
for file in "$work"/src/sessionize/*.c; do compile "$file" "$work/part/$(basename "$file" .c).o"; done
for file in stream oracle memory test_machine test_emit test_loop test_hostile; do compile "$here/$file.c" "$work/test/$file.o"; done
set +e
failed=$(first_failure)
if [ -n "$failed" ]; then
    echo "mutants: the sources as they are fail $failed"
    exit 1
fi

survivors=0 broken=0 count=0
while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    rule=${line%% | *} rest=${line#* | }
    file=${rest%% | *} edit=${rest#* | }
    [ $# -eq 0 ] || [[ $rule == *"$1"* ]] || continue
    count=$((count + 1))
    cp "$root/src/sessionize/$file" "$work/src/sessionize/$file"
    sed -E -z -i "$edit" "$work/src/sessionize/$file"
    if cmp -s "$root/src/sessionize/$file" "$work/src/sessionize/$file"; then
        found="BROKEN, no such place in $file"
    elif ! compile "$work/src/sessionize/$file" "$work/part/${file%.c}.o" 2>"$work/words"; then
        found="BROKEN, does not compile: $(grep -m 1 error "$work/words")"
    else
        found=$(first_failure)
        [ -n "$found" ] || found=SURVIVED
    fi
    case $found in
    SURVIVED) survivors=$((survivors + 1)) ;;
    BROKEN*) broken=$((broken + 1)) ;;
    esac
    printf '%-62s %s\n' "$rule" "$found"
    cp "$root/src/sessionize/$file" "$work/src/sessionize/$file"
    compile "$work/src/sessionize/$file" "$work/part/${file%.c}.o"
done <"$here/mutants.txt"
echo "$count rules taken out, $survivors not noticed, $broken broken mutants"
[ "$survivors" -eq 0 ] && [ "$broken" -eq 0 ] && [ "$count" -gt 0 ]
