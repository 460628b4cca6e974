#!/usr/bin/env bash
# Installs the Debian packages that are missing (Debian 12 and 13) and says which. Needs root or sudo.
#   scripts/deps.sh          what building and running needs
#   scripts/deps.sh --test   also what the tests need: clang, clang-format, g++, kcat, maven, a JRE, ...
#   scripts/deps.sh --print  prints what is missing, one package a line, and installs nothing
set -euo pipefail

with_tests=no print_only=no
for option in "$@"; do
    case $option in
    --test) with_tests=yes ;;
    --print) print_only=yes ;;
    *)
        echo "usage: scripts/deps.sh [--test] [--print]" >&2
        exit 64
        ;;
    esac
done

# name, or name:command where any provider of the command will do.
build_packages=(
    gcc:gcc libc6-dev cmake:cmake ninja-build:ninja pkg-config:pkg-config ca-certificates
    librdkafka-dev libavro-dev librocksdb-dev libopenblas-dev liblapacke-dev libyaml-dev libjansson-dev
    libxxhash-dev libssl-dev libmicrohttpd-dev zlib1g-dev libcmocka-dev
)
test_packages=(
    g++:c++ openssl:openssl kcat:kcat gnuplot-nox:gnuplot maven:mvn default-jre-headless:java python3:python3 python3-venv valgrind:valgrind
)

command -v apt-get >/dev/null || {
    echo "deps: this machine has no apt-get; install by hand: ${build_packages[*]%%:*}" >&2
    exit 69
}

installed() { # package
    local status
    status=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) && [ "$status" = installed ]
}
present() { # package[:command]
    { [[ $1 == *:* ]] && command -v "${1#*:}" >/dev/null; } || installed "${1%%:*}"
}
offered() { # package
    [ -n "$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([^(].*\)/\1/p')" ]
}
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        echo "deps: neither root nor sudo; run as root: $*" >&2
        return 77
    fi
}

# The clang this code is checked with is 14; a release without it gives its own.
clang_packages() {
    if installed clang-14 || offered clang-14; then
        echo clang-14 clang-format-14 libclang-rt-14-dev
        return
    fi
    local version
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    echo clang clang-format ${version:+"libclang-rt-$version-dev"}
}

missing=()
collect() { # package[:command]...
    local package
    for package in "$@"; do
        present "$package" || missing+=("${package%%:*}")
    done
}

updated=no
update_lists() {
    [ "$updated" = no ] || return 0
    updated=yes
    echo "deps: apt-get update" >&2
    as_root apt-get -qq -o Acquire::Retries=3 update >&2 ||
        echo "deps: apt-get update failed; going on with the package lists that are here" >&2
}

collect "${build_packages[@]}"
if [ "$with_tests" = yes ]; then
    collect "${test_packages[@]}"
    # Which clang there is to have is known only once there are package lists.
    if ! command -v clang-14 >/dev/null && [ "$print_only" = no ]; then update_lists; fi
    read -ra clang <<<"$(clang_packages)"
    collect "${clang[@]}"
fi

if [ "$print_only" = yes ]; then
    [ ${#missing[@]} -eq 0 ] || printf '%s\n' "${missing[@]}"
    exit 0
fi
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

update_lists
echo "deps: installing ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! as_root apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    --no-install-recommends install "${missing[@]}" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "deps: apt-get could not install: ${missing[*]}" >&2
    exit 69
fi
echo "deps: installed ${#missing[@]} packages" >&2
