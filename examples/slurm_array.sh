#!/usr/bin/env bash
#SBATCH --job-name=mami-deid
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@120
#
# Scrub one tree on several nodes: task i of the array writes part i of the patients.
#
#   mkdir -m 700 /project/private
#   (umask 077; python3 -c 'import secrets; print(secrets.token_hex(32))' > /project/private/key)
#   export IN=/data/pacs OUT=/project/release PRIVATE=/project/private PARTS=8
#   sbatch examples/slurm_array.sh          # options given here go to scrub, such as --recipe recipe.yaml
#
# All tasks use one key, so pseudonyms, UIDs and dates agree between the parts. Every task reads all headers first,
# because only they tell which files are of one patient; pixels are read by one task only. (On one node there is no
# need for parts: --jobs uses all its cores.)
#
# The journal is an SQLite file and needs a local disk. So each part has a state folder of its own on the node, which
# is fetched from PRIVATE at the start and saved there at the end, also when the time is up; the same sbatch command
# then goes on where it stopped. A part whose node died has no journal of its last files: mami-deid refuses it with
# status 2, and the task is run again with --replace (sbatch --array=3 examples/slurm_array.sh --replace).
#
# When all tasks have ended, join the parts without copying; patients of different parts never share a name:
#
#   mkdir /project/release/all && cp -rl /project/release/part-*-of-8/. /project/release/all
#
# What is held back in part 3:
#
#   tar -xf /project/private/part-3-of-8.tar -C "$TMPDIR"
#   mami-deid show --held --out /project/release/part-3-of-8 --state "$TMPDIR/state" --key-file /project/private/key
set -euo pipefail
: "${IN:?the input folder}" "${OUT:?the output folder}" "${PRIVATE:?a private folder with the key}"
: "${PARTS:?the number of parts; the same for all tasks and later runs}"
part=part-${SLURM_ARRAY_TASK_ID:?this script is one task of an array}-of-$PARTS
saved=$PRIVATE/$part.tar

if [ ! -f "$PRIVATE/key" ]; then
    echo "there is no key in $PRIVATE; make it once, as the head of this script says" >&2
    exit 2
fi
local=$(mktemp -d "${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/mami-deid-XXXXXX")
state=$local/state
mkdir -m 700 "$state"
[ ! -f "$saved" ] || tar -xpf "$saved" -C "$local"

save() {
    # complete under a new name first: the old one stays good until then
    (umask 077 && tar -cpf "$saved.new" -C "$local" state) && mv "$saved.new" "$saved"
    rm -rf "$local"
}
trap save EXIT

# In the background, so that bash hears the signal of Slurm at once and passes it on.
mami-deid scrub "$IN" "$OUT/$part" --shard "$SLURM_ARRAY_TASK_ID/$PARTS" --jobs "${SLURM_CPUS_PER_TASK:-1}" \
    --state "$state" --key-file "$PRIVATE/key" --json "$@" > "$PRIVATE/$part.json" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null || true' TERM INT
status=0
wait "$child" || status=$?
while kill -0 "$child" 2>/dev/null; do # the signal ended the wait, not the child
    status=0
    wait "$child" || status=$?
done

case $status in
    0) echo "$part: everything was released" ;;
    1) echo "$part: some files are held back, see $PRIVATE/$part.json" ;;
    3) echo "$part: nothing was released, see $PRIVATE/$part.json" ;;
    *) echo "$part: ended with status $status" >&2 && exit "$status" ;;
esac
