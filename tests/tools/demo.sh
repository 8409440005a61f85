#!/bin/sh
# The main job of snap on sample data, every command shown as it runs, every outcome checked: ./dev demo
set -eu

program=${1:?usage: demo.sh PATH_OF_SNAP}
tools=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
place=$(mktemp -d "${TMPDIR:-/tmp}/snap-demo-XXXXXX")
app=$place/app
writer=""

clean_up() {
    if [ -n "$writer" ]; then
        : >"$app/app.db.stop"
        wait "$writer" 2>/dev/null || true
    fi
    rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() {
    printf '\n# %s\n' "$*"
}

fail() {
    printf '\ndemo FAILED: %s\n' "$*" >&2
    exit 1
}

# Show a command of snap, run it, and insist that it succeeds; its output stays in $place/output.
snap() {
    printf '$ snap'
    printf ' %s' "$@"
    printf '\n'
    status=0
    "$program" "$@" >"$place/output" 2>&1 </dev/null || status=$?
    cat "$place/output"
    [ "$status" -eq 0 ] || fail "'snap $1' ended with status $status"
}

data() {
    python3 "$tools/demo_data.py" "$@"
}

must_be() {
    now=$(data print "$app") || fail "$2: the data is not sound"
    [ "$now" = "$1" ] || fail "$2"
    printf '# checked: %s\n' "$2"
}

must_say() {
    grep -q -e "$1" "$place/output" || fail "the output says nothing about '$1'"
}

snapshots() {
    "$program" list --json --kind backup | python3 -c 'import json, sys
print(sum(1 for s in json.load(sys.stdin) if s["state"] == "good"))'
}

export SNAP_REPOSITORY="$place/repo" SNAP_KEY_FILE="$place/key" SNAP_CACHE_DIR="$place/cache"
export PYTHONDONTWRITEBYTECODE=1

say "A task database in use, with a writer that never stops, and a directory of vector files."
data make "$app"
data write "$app/app.db" &
writer=$!
ls -l "$app" "$app/vectors"
printf '\n# SNAP_REPOSITORY=%s\n# SNAP_KEY_FILE=%s\n# SNAP_CACHE_DIR=%s\n' \
    "$SNAP_REPOSITORY" "$SNAP_KEY_FILE" "$SNAP_CACHE_DIR"

say "Make a repository; the key file is made with it."
snap init
[ -f "$SNAP_KEY_FILE" ] || fail "no key file was made"
[ "$(stat -c %a "$SNAP_KEY_FILE")" = 600 ] || fail "the key file can be read by others"

say "Back both up, while the writer writes, and look at the catalog."
first=$(data print "$app")
snap backup "$app/app.db" "$app/vectors"
snap list
[ "$(snapshots)" = 1 ] || fail "the catalog does not hold one good backup"

say "A day of ordinary work; then back up again. Only what changed is stored."
data change "$app"
good=$(data print "$app")
[ "$good" != "$first" ] || fail "nothing was changed"
snap backup "$app/app.db" "$app/vectors"
snap list
[ "$(snapshots)" = 2 ] || fail "the catalog does not hold two good backups"
snap diff latest~1 latest
must_say answers.npy

say "An incident: a third of the tasks deleted, a vector file overwritten."
data break "$app"
broken=$(data print "$app")
[ "$broken" != "$good" ] || fail "nothing was broken"

say "What would a restore do?"
snap restore latest --dry-run
must_be "$broken" "the dry run touched nothing"

say "Restore in place, under the running writer. A forensic copy of the present state is kept first."
snap restore latest --yes
must_be "$good" "the tasks and the vector files are back"
kill -0 "$writer" 2>/dev/null || fail "the writer did not survive the restore"
snap list

say "Take the restore back: the state of the incident, for whoever wants to look into it. Then redo it."
snap undo --yes
must_be "$broken" "undo brought the replaced state back"
snap undo --yes
must_be "$good" "a second undo brought the restored state back"

say "The older backup comes back as well, elsewhere."
snap restore latest~1 --target "$place/elsewhere"
elsewhere=$(data print "$place/elsewhere$app") || fail "the data restored elsewhere is not sound"
[ "$elsewhere" = "$first" ] || fail "the older backup differs from what was captured"
printf '# checked: equal to what was captured\n'

say "Prove what is stored: every record decoded, every database opened and checked."
snap verify --read-data --databases

kill -0 "$writer" 2>/dev/null || fail "the writer stopped"
cat <<'TEXT'

Shown: a live SQLite database and a directory of vector files were backed up twice, listed and compared; after rows were
deleted and a file was overwritten, a restore brought everything back under the running writer, undo and a second undo
swapped the two states, the older backup was restored elsewhere, and everything stored was verified.
TEXT
