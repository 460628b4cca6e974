#!/usr/bin/env bash
# The whole loop on one machine, from a bare clone: packages, build, `mtf demo`. Arguments go to the
# demo: scripts/demo.sh --rounds 3 --json demo.json
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

"$here/deps.sh"
"$here/build.sh" release
exec "$root/build/release/mtf" demo "$@"
