#!/usr/bin/env bash
# Installs the library's components into an empty prefix and looks at it as a stranger does.
#   install.sh symbols|programs|readme BUILD     WRITE_POLICIES: the program that makes sample records
# Exit 77: no C++ compiler (scripts/deps.sh --test).
set -euo pipefail
part=$1 build=$(cd "$2" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
    echo "install $part: $*" >&2
    exit 1
}

for component in lib dev; do
    cmake --install "$build" --prefix "$prefix" --component $component >"$work/install.log"
done
libdir=$(dirname "$(find "$prefix" -name 'libmtf.so')")
export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir

# A record to serve, signed, and the key it was signed with.
make_record() {
    mkdir -p "$work/records"
    openssl genpkey -algorithm ed25519 -out "$work/sign.key" 2>/dev/null
    chmod 600 "$work/sign.key"
    openssl pkey -in "$work/sign.key" -pubout -out "$work/sign.pub"
    "$WRITE_POLICIES" "$work/records" "$work/sign.key"
}

# The functions that a header declares, in the order of the alphabet.
declared() { # header
    tr '\n' ' ' <"$1" | sed -E 's#/\*([^*]|\*[^/])*\*/##g' |
        grep -oE 'MTF_API [^;()]*\bmtf_[a-z0-9_]+\(' | grep -oE 'mtf_[a-z0-9_]+\($' | tr -d '(' | sort
}

symbols() {
    declared "$prefix/include/mtf.h" >"$work/header"
    sed -nE 's/^ +(mtf_[a-z0-9_]+);$/\1/p' "$source/src/client/libmtf.map" | sort >"$work/map"
    nm -D --defined-only "$libdir/libmtf.so" | awk '{print $3}' | sort >"$work/exported"
    nm -g --defined-only "$libdir/libmtf.a" | awk 'NF == 3 {print $3}' | sort -u >"$work/static"
    [ -s "$work/map" ] || fail "libmtf.map lists nothing"
    diff -u "$work/map" "$work/header" || fail "mtf.h and libmtf.map differ"
    diff -u "$work/map" "$work/exported" || fail "libmtf.so exports other names than libmtf.map"
    ! grep -v '^mtf_' "$work/static" || fail "libmtf.a defines names that are not ours"
    for name in $(cat "$work/map"); do
        grep -q "^\.BR $name ()" "$prefix/share/man/man3/libmtf.3" || fail "libmtf.3 leaves out $name"
    done
    readelf -d "$libdir/libmtf.so" | sed -nE 's/.*NEEDED.*\[(.*)\]/\1/p' >"$work/needed"
    ! grep -vE '^(libc|libm|libcrypto|ld-linux[a-z0-9_-]*)\.so' "$work/needed" ||
        fail "libmtf.so needs more than the C library and libcrypto"
    local soname
    soname=$(readelf -d "$libdir/libmtf.so" | sed -nE 's/.*SONAME.*\[(.*)\]/\1/p')
    [ "$soname" = "libmtf.so.$(pkg-config --modversion mtf | cut -d. -f1,2)" ] || fail "soname is $soname"
    [ -e "$libdir/$soname" ] || fail "$soname is not installed"
    cmake --install "$build" --prefix "$work/lib-only" --component lib >/dev/null
    ! find "$work/lib-only" -name '*.h' -o -name '*.a' -o -name '*.so' | grep . ||
        fail "component lib holds what only building needs"
}

# Runs a program of serve.c or serve.cc and holds what it says to the record.
run() { # program
    "$1" "$work/records/4-0.policy" "$work/sign.pub" >"$work/out"
    grep -q '^policy sample version 3, signed: ' "$work/out" || fail "$1 said: $(cat "$work/out")"
    ! "$1" "$work/records/0-0.policy" "$work/sign.pub" >"$work/out" 2>&1 || fail "$1 serves unsigned"
    grep -q unsigned "$work/out" || fail "$1 does not say unsigned: $(cat "$work/out")"
}

programs() {
    command -v c++ >/dev/null || exit 77
    make_record
    local strict="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
    local static_libs="$libdir/libmtf.a $(pkg-config --static --libs-only-l mtf | sed 's/-lmtf//') -pthread"
    local cflags libs
    cflags=$(pkg-config --cflags mtf) libs=$(pkg-config --libs mtf)
    cc -std=c17 $strict $cflags "$here/stranger.c" $libs -o "$work/c-shared"
    cc -std=c99 $strict $cflags "$here/stranger.c" $static_libs -o "$work/c-static"
    cp "$here/stranger.c" "$work/stranger.cc"
    c++ -std=c++11 $strict $cflags "$work/stranger.cc" $libs -o "$work/cc-shared"
    c++ -std=c++17 $strict $cflags "$work/stranger.cc" $static_libs -o "$work/cc-static"
    for program in c-shared c-static cc-shared cc-static; do run "$work/$program"; done
    ldd "$work/c-static" | grep -q libmtf && fail "the static program needs libmtf.so"

    # One answer, whichever library and optimisation: what bindings compare with.
    cc -std=c17 -O0 $strict $cflags "$here/vectors.c" $libs -o "$work/v-shared"
    cc -std=c17 -O2 $strict $cflags "$here/vectors.c" $static_libs -o "$work/v-static"
    "$work/v-shared" "$work/records/2-0.policy" >"$work/vectors" || fail "vectors"
    "$work/v-static" "$work/records/2-0.policy" | diff -q - "$work/vectors" || fail "other bits from libmtf.a"
    [ "$(wc -l <"$work/vectors")" -eq 72 ] || fail "vectors are not 72 lines"

    mkdir "$work/project"
    cp "$here/stranger.c" "$work/stranger.cc" "$work/project"
    cat >"$work/project/CMakeLists.txt" <<'LIST'
cmake_minimum_required(VERSION 3.16)
project(stranger LANGUAGES C CXX)
find_package(mtf 0.1 REQUIRED)
foreach(kind mtf static)
  add_executable(c-${kind} stranger.c)
  add_executable(cc-${kind} stranger.cc)
  target_link_libraries(c-${kind} PRIVATE mtf::${kind})
  target_link_libraries(cc-${kind} PRIVATE mtf::${kind})
endforeach()
LIST
    unset PKG_CONFIG_PATH
    cmake -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" &&
        cmake --build "$work/project/build" >>"$work/cmake.log" || fail "$(cat "$work/cmake.log")"
    for program in c-mtf c-static cc-mtf cc-static; do run "$work/project/build/$program"; done
    sed -i 's/mtf 0.1/mtf 9.9/' "$work/project/CMakeLists.txt"
    ! cmake -S "$work/project" -B "$work/project/other" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null 2>&1 ||
        fail "find_package takes another version"
}

# The block of the README after <!-- NAME -->.
block() { # name
    awk -v mark="<!-- $1 -->" '$0 == mark {found = 1; next} found && /^```/ {if (inside) exit; inside = 1; next} inside' \
        "$source/README.md"
}

# The README's program and commands as they stand, but for where they are installed to.
readme() {
    make_record
    cd "$work"
    block serve.c >serve.c
    block serve.sh >serve.sh
    [ -s serve.c ] && [ -s serve.sh ] || fail "README.md has no blocks serve.c and serve.sh"
    cp records/4-0.policy policy.record
    sed -i "s|cmake --install build/release|cmake --install $build|; s|/usr/local|$prefix|g; s|sudo ||" serve.sh
    bash -euo pipefail serve.sh >out 2>err || fail "$(cat serve.sh out err)"
    grep -q '^policy sample version 3 ranks' out || fail "serve says: $(cat out err)"
    local code=0
    python3 -B "$here/check_event.py" "$source/schemas/exploration-event.avsc" event.bin event_id=request-1 \
        user_id=user-1 event_time_ms=1700000000000 policy_version=3 bucket=explore >out 2>&1 || code=$?
    [ $code -eq 0 ] || { cat out >&2 && exit $code; }
}

"$part"
