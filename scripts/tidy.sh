#!/usr/bin/env bash
# The house rules that a machine can check; prints `file:line: what` for each breach. ctest runs it
# (label unit). Which folder may include which, and who may see which library, is said here once.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

breaches=0
breach() { # place words
    echo "$1: $2"
    breaches=$((breaches + 1))
}
# Prints breaches for every line of stdin, which is `file:line:text`.
breach_each() { # words
    local line
    while IFS= read -r line; do breach "$(cut -d: -f1,2 <<<"$line")" "$1: $(cut -d: -f3- <<<"$line")"; done
}

mapfile -t sources < <(find src -name '*.[ch]' | sort)
mapfile -t headers < <(find src -name '*.h' | sort)
mapfile -t texts < <(find src tests bench scripts schemas cmake docs deploy .ci README.md CMakeLists.txt \
    -type f -not -path '*/corpus/*' -size -400k 2>/dev/null | grep -vE '\.(pyc|png|jpg|avro|bin)$' | sort)
if [ ${#sources[@]} -eq 0 ]; then
    echo "tidy: found no sources"
    exit 1
fi

# A file holds one idea.
for file in "${sources[@]}"; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || breach "$file:$lines" "over 600 lines; split it by idea"
done

# Nothing half done, nothing of the machine it was written on. (Brackets: not to find themselves.)
breach_each "unfinished" < <(grep -nHE '\b(TO[D]O|FIX[M]E|XX[X])\b' "${texts[@]}")
breach_each "a path of someone's machine" < <(grep -nHE '(^|[^a-zA-Z0-9._}-])/(hom[e]|roo[t]|wor[k]|User[s])/' "${texts[@]}")

# Guards are MTF_..._H.
for file in "${headers[@]}"; do
    guard=$(sed -n 's/^#ifndef \(MTF_[A-Z0-9_]*_H\)$/\1/p' "$file" | head -n 1)
    if [ -z "$guard" ] || ! grep -qx "#define $guard" "$file"; then
        breach "$file:1" "no include guard of the form MTF_..._H"
    fi
done
breach_each "two headers with one guard" < <(
    grep -hE '^#ifndef MTF_[A-Z0-9_]*_H$' "${headers[@]}" | sort | uniq -d | while read -r _ guard; do
        grep -nHx "#ifndef $guard" "${headers[@]}"
    done)

# Directions: core knows nobody, stages know core (and a few the client), cli and ops sit on top.
allowed_for() { # file -> extended regex of the folders it may include
    case $1 in
    src/core/*) echo 'core' ;;
    src/ingest/*) echo 'core|ingest' ;;
    src/sessionize/*) echo 'core|sessionize' ;;
    src/learner/eval* | src/learner/export* | src/learner/gauc* | src/learner/scorecard*) echo 'core|learner|client' ;;
    src/learner/*) echo 'core|learner' ;;
    src/publish/*) echo 'core|publish|client' ;;
    src/client/*) echo 'core|client' ;;
    src/search/*) echo 'core|search' ;;
    src/sim/*) echo 'core|sim|client|search' ;;
    src/compare/*) echo 'core|sessionize|learner|client|search|sim|compare' ;;
    src/ops/*) echo 'core|ingest|sessionize|learner|publish|client|sim|ops' ;;
    *) echo '[a-z]+' ;;
    esac
}
for file in "${sources[@]}"; do
    breach_each "not a neighbour this folder may know" < <(
        grep -nHE '^ *# *include *"' "$file" | grep -vE "\"($(allowed_for "$file"))/[a-z0-9_/]+\.(h|inc)\"")
done

# Libraries stay behind their adapters: header, and the files that may include it.
while read -r header files; do
    breach_each "this library stays behind its adapter ($files)" < <(
        grep -nHE "^ *# *include *[<\"]($header)" "${sources[@]}" | grep -vE "^($files):")
done <<'LIST'
librdkafka/     src/ingest/kafka_[a-z_]*\.[ch]
rocksdb/        src/learner/store[a-z_]*\.[ch]
cblas           src/(learner/(blas|kernels)[a-z_]*\.[ch]|search/linear\.c)
lapacke         src/search/linear\.c
avro\.h|avro/   src/ingest/(avro|container|file)[a-z_]*\.[ch]
jansson         src/(ingest|client|compare|publish|sim|cli|ops)/[a-z_]*\.[ch]
yaml\.h         src/core/settings_yaml\.c
xxhash          src/core/hash\.c
openssl/        src/((client|publish)/[a-z_]*|ingest/user_key)\.c
microhttpd      src/ops/[a-z_]*\.c
curl/           src/ingest/[a-z_]*\.c
LIST

# Scripts at least parse.
for file in scripts/*.sh .ci/run; do
    bash -n "$file" || breach "$file:1" "does not parse"
    [ -x "$file" ] || breach "$file:1" "is not executable"
done

if [ $breaches -gt 0 ]; then
    echo "tidy: $breaches breaches"
    exit 1
fi
echo "tidy: ${#sources[@]} sources keep the rules"
