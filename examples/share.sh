#!/usr/bin/env bash
# Scrub a tree, and pack the result for the recipient only if no more than a few files are held back.
#
#   [MAX_HELD=5%] [RECIPE=recipe.yaml] examples/share.sh IN FOLDER [options of scrub]
#
# FOLDER gets release/ (the output), release.zip with the conformance statement and its SHA-256, and summary.json (for
# you: counts and reasons). The exit status is that of `mami-deid scrub`; a package exists only where it is 0. The same
# command again does only what is new, and packs anew.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: [MAX_HELD=5%] [RECIPE=recipe.yaml] share.sh IN FOLDER [options of scrub]" >&2
    exit 2
fi
in=$1 folder=$2
shift 2
max_held=${MAX_HELD:-5%}
for option in "$@"; do
    case $option in
        --recipe* | --preset*)
            echo "give the recipe as RECIPE=..., so that the conformance statement follows it" >&2
            exit 2
            ;;
    esac
done
recipe=()
[ -z "${RECIPE:-}" ] || recipe=(--recipe "$RECIPE")

mkdir -p "$folder"
rm -f "$folder/release.zip" "$folder/release.zip.sha256" # a package of an earlier run must not pass for this one's
status=0
# (the odd expansion: an empty array is an error to the bash of macOS)
mami-deid scrub "$in" "$folder/release" --json --max-held "$max_held" \
    ${recipe[@]+"${recipe[@]}"} "$@" > "$folder/summary.json" || status=$?

case $status in
    0) ;;
    1) echo "More than $max_held is held back, so nothing was packed. Reasons: $folder/summary.json" ;;
    2) echo "The options, recipe, key or project cannot be used, see above." ;;
    3) echo "Nothing was released. Reasons: $folder/summary.json" ;;
    130 | 143) echo "Stopped; the same command goes on." ;;
    *) echo "An internal error; please report it." ;;
esac >&2
[ "$status" -ne 1 ] && [ "$status" -ne 3 ] ||
    echo "Files: mami-deid show --held --out '$folder/release' (and --state or --project, if you gave one)" >&2
[ "$status" -eq 0 ] || exit "$status"

mami-deid profile statement ${recipe[@]+"${recipe[@]}"} > "$folder/conformance.md"
cd "$folder"
python3 - <<'PYTHON'
"""Pack; a zip file of Python names no owner, unlike tar."""

import hashlib
import json
import pathlib
import zipfile

files = [path for path in sorted(pathlib.Path("release").rglob("*")) if path.is_file()]
with zipfile.ZipFile("release.zip.new", "w", zipfile.ZIP_DEFLATED) as archive:
    for path in (pathlib.Path("conformance.md"), *files):
        archive.write(path)
pathlib.Path("release.zip.new").replace("release.zip")
digest = hashlib.sha256()
with open("release.zip", "rb") as stream:
    while block := stream.read(1 << 20):
        digest.update(block)
pathlib.Path("release.zip.sha256").write_text(f"{digest.hexdigest()}  release.zip\n")
summary = json.loads(pathlib.Path("summary.json").read_text())
print(f"{len(files)} files packed in release.zip, {summary['held']} held back.")
PYTHON
