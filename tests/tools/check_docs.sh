#!/bin/sh
# The documents say what the program does: every error has its section, every numbered promise its tests, every command
# its place in the man page. SNAP_BIN names the program; build/snap when it is not set.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
bad=0

complain() {
    printf 'check_docs: %s\n' "$*"
    bad=1
}

exists() {
    [ -f "$1" ] || {
        complain "$1 does not exist"
        return 1
    }
}

# Complain about each line of sorted file $1 that sorted file $2 lacks: "$3 <line> $4".
each_missing() {
    comm -23 "$1" "$2" >"$place/missing"
    while IFS= read -r line; do
        complain "$3 $line $4"
    done <"$place/missing"
}

# Every error name of the table has a section, and every section is an error name.
check_errors() {
    exists docs/errors.md || return 0
    sed -n 's/^X([A-Z_]*, "\([^"]*\)".*/\1/p' src/base/errors.def | grep -vx ok | sort >"$place/names"
    # shellcheck disable=SC2016 # the backquotes are those of Markdown
    sed -n 's/^##*  *`\{0,1\}\([a-z][a-z-]*\)`\{0,1\} *$/\1/p' docs/errors.md | sort -u >"$place/sections"
    [ -s "$place/names" ] || complain "no error names found in src/base/errors.def"
    each_missing "$place/names" "$place/sections" "error" "has no section in docs/errors.md"
    each_missing "$place/sections" "$place/names" "docs/errors.md: section" "is no error name"
}

# Every numbered promise of a header, and the invariants I1 to I8, stand in docs/reliability.md as
# | ID | promise | tests/unit/test_x.c, tests/cli/test_y.py |
check_promises() {
    exists docs/reliability.md || return 0
    {
        find src -name '*.h' -exec sed -n 's/^ \*   \([A-Z][A-Z]*[0-9][0-9]*\)  .*/\1/p' {} +
        for i in 1 2 3 4 5 6 7 8; do echo "I$i"; done
    } | sort >"$place/promises"
    uniq -d "$place/promises" >"$place/twice"
    while IFS= read -r id; do
        complain "two promises are called $id"
    done <"$place/twice"
    sed -n 's/^| *\([A-Z][A-Z]*[0-9][0-9]*\) *|.*/\1/p' docs/reliability.md | sort >"$place/rows"
    sort -u "$place/promises" >"$place/wanted"
    sort -u "$place/rows" >"$place/listed"
    each_missing "$place/wanted" "$place/listed" "promise" "does not stand in docs/reliability.md"
    each_missing "$place/listed" "$place/wanted" "docs/reliability.md: promise" "is in no header"
    sed -n 's/^| *\([A-Z][A-Z]*[0-9][0-9]*\) *|.*|\([^|]*\)| *$/\1 \2/p' docs/reliability.md >"$place/tests"
    [ "$(wc -l <"$place/tests")" -eq "$(wc -l <"$place/rows")" ] || complain "docs/reliability.md: a row has no tests"
    while read -r id files; do
        check_tests "$id" "$files"
    done <"$place/tests"
}

# The tests of promise $1, separated by commas and blanks: at least one, and each exists.
check_tests() {
    found=0
    for file in $(printf '%s' "$2" | tr ',`' '  '); do
        if [ -f "$file" ]; then
            found=1
        else
            complain "docs/reliability.md: $1 names $file, which does not exist"
        fi
    done
    [ "$found" -eq 1 ] || complain "docs/reliability.md: no test of $1 exists"
}

# The commands that 'snap help' lists are those of the man page.
check_commands() {
    program=${SNAP_BIN:-build/snap}
    exists docs/man/snap.1.scd || return 0
    [ -x "$program" ] || {
        complain "$program does not exist; build it first"
        return 0
    }
    "$program" help >"$place/help" 2>&1 || complain "'snap help' failed"
    sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' "$place/help" | sort -u >"$place/in-help"
    awk '/^# / { on = ($2 == "COMMANDS") } on' docs/man/snap.1.scd |
        sed -n 's/^\*\([a-z][a-z]*\).*/\1/p; s/^## *\*\{0,1\}\([a-z][a-z]*\).*/\1/p' | sort -u >"$place/in-man"
    [ -s "$place/in-help" ] || complain "no commands found in what 'snap help' prints"
    each_missing "$place/in-help" "$place/in-man" "command" "is missing in docs/man/snap.1.scd"
    each_missing "$place/in-man" "$place/in-help" "docs/man/snap.1.scd: command" "is unknown to 'snap help'"
}

check_errors
check_promises
check_commands
[ "$bad" -eq 0 ] || exit 1
echo "check_docs: errors, promises and commands are documented"
