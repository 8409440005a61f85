#!/bin/sh
# Rules of the source tree that no compiler keeps. Prints each violation as file:line: what, exits 1 if there is one.
#
#   usage: check_layers.sh               see that each rule can fail, then check the tree this script stands in
#          check_layers.sh --tree ROOT   check ROOT/src only
#
#   1  includes go down the layers only, and name their layer: "base/err.h"
#   2  a third-party header is included by its wrappers only
#   3  no file is longer than 800 lines
#   4  no function that has a safer sibling
#   5  each header compiles alone
set -eu

CC=${CC:-cc}
self=$0

check_text() {
    # shellcheck disable=SC2016 # the program is for awk
    find src -name '*.[ch]' -o -name '*.def' | LC_ALL=C sort | LC_ALL=C xargs awk '
    BEGIN {
        below["base"] = " base "
        below["net"] = " net base "
        below["chunk"] = " chunk base "
        below["format"] = " format chunk base "
        below["backend"] = " backend net format chunk base "
        below["catalog"] = " catalog format chunk base "
        below["store"] = " store backend catalog net format chunk base "
        below["source"] = " source backend catalog net format chunk base "
        below["engine"] = " engine store source backend catalog net format chunk base "
        below["cli"] = " cli engine store source backend catalog net format chunk base "
        # Where a library may be seen, as a regular expression over the path.
        home["zstd.h"] = home["zstd_errors.h"] = home["zdict.h"] = "^src/chunk/"
        home["openssl"] = "^src/(chunk/|base/hash)"
        home["sqlite3.h"] = "^src/(catalog|source/sqlite)/"
        home["jansson.h"] = "^src/(cli|source/vectors)/"
        home["ini.h"] = "^src/cli/"
        home["archive.h"] = home["archive_entry.h"] = "^src/source/vectors/"
        home["curl"] = "^src/net/"
        split("assert ctype dirent elf endian errno fcntl fenv float fnmatch ftw getopt glob grp inttypes langinfo " \
              "limits locale math netdb poll pthread pwd sched setjmp signal spawn stdalign stdarg stdatomic stdbool " \
              "stddef stdint stdio stdlib string strings syslog termios threads time unistd wchar wctype " \
              "immintrin cpuid", list, " ")
        for (i in list)
            system_header[list[i] ".h"] = 1
        split("strcpy strcat sprintf vsprintf gets strtok atoi system popen alloca strncpy", list, " ")
        for (i in list)
            banned[list[i]] = 1
    }
    function report(what) {
        printf "%s:%d: %s\n", FILENAME, FNR, what
    }
    function check_length() {
        if (lines > 800)
            printf "%s:%d: %d lines, more than 800: part it\n", last, lines, lines
    }
    # The line without comments and the content of literals; in_comment lasts over lines.
    function code_of(line,    out, c, two, quote) {
        out = ""
        while (line != "") {
            c = substr(line, 1, 1)
            two = substr(line, 1, 2)
            if (in_comment) {
                if (two == "*/")
                    in_comment = 0
                line = substr(line, two == "*/" ? 3 : 2)
            } else if (two == "/*") {
                in_comment = 1
                line = substr(line, 3)
            } else if (two == "//") {
                return out
            } else if (c == "\"" || c == "\047") {
                quote = c
                line = substr(line, 2)
                while (line != "" && substr(line, 1, 1) != quote)
                    line = substr(line, substr(line, 1, 1) == "\\" ? 3 : 2)
                line = substr(line, 2)
                out = out quote quote
            } else {
                out = out c
                line = substr(line, 2)
            }
        }
        return out
    }
    function check_own_include(name,    to) {
        to = name
        sub(/\/.*/, "", to)
        if (name !~ /\// || !(to in below))
            report("\"" name "\" does not name its layer")
        else if (!(layer in below))
            report("src/" layer " is not a layer")
        else if (index(below[layer], " " to " ") == 0)
            report(layer " must not include \"" name "\"")
    }
    function check_foreign_include(name,    top) {
        top = name
        sub(/\/.*/, "", top)
        if (name in home)
            top = name
        if (top in home) {
            if (FILENAME !~ home[top])
                report("<" name "> is included outside its wrappers")
        } else if (!(name in system_header) && name !~ /^(sys|linux|net|netinet|arpa|asm)\//) {
            report("<" name "> belongs to no library this check knows")
        }
    }
    FNR == 1 {
        check_length()
        last = FILENAME
        in_comment = 0
        layer = FILENAME
        sub(/^src\//, "", layer)
        sub(/\/.*/, "", layer)
    }
    { lines = FNR }
    !in_comment && /^[ \t]*#[ \t]*include[ \t]*["<]/ {
        name = $0
        sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
        mark = substr(name, 1, 1)
        name = substr(name, 2)
        sub(/[">].*/, "", name)
        if (mark == "<")
            check_foreign_include(name)
        else
            check_own_include(name)
        next
    }
    {
        rest = code_of($0)
        before = ""
        while (match(rest, /[A-Za-z_][A-Za-z_0-9]*/)) {
            before = substr(rest, 1, RSTART - 1)
            word = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            # A member of that name is something else.
            if (word in banned && rest ~ /^[ \t]*\(/ && before !~ /(\.|->)[ \t]*$/)
                report(word " is banned")
        }
    }
    END { check_length() }'
}

check_headers() {
    find src -name '*.h' | LC_ALL=C sort | while read -r header; do
        printf '#include "%s"\n' "${header#src/}" |
            "$CC" -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Isrc -Wall -Wextra -Werror -Wno-unused-function \
                -fsyntax-only -x c - 2>"$work/compiler" || {
            printf '%s:1: does not compile alone\n' "$header"
            sed 's/^/    /' "$work/compiler"
        }
    done
}

check_tree() {
    (
        cd "$1"
        check_text
        check_headers
    ) >"$work/found" 2>&1 || printf 'check_layers: the check itself failed\n' >>"$work/found"
    cat "$work/found"
    [ ! -s "$work/found" ]
}

# try PATH WANT TEXT: a tree with this one file is found to violate WANT, or to be clean when WANT is empty.
try() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/src/base" "$(dirname "$work/tree/src/$1")"
    printf '#include <stddef.h>\n' >"$work/tree/src/base/err.h"
    printf '%b' "$3" >"$work/tree/src/$1"
    out=$(CC=$CC sh "$self" --tree "$work/tree") || true
    case $2,$out in
    ,) return 0 ;;
    ,*) ;;
    *,*"$2"*) return 0 ;;
    esac
    printf 'self-test: src/%s should give "%s", gave "%s"\n' "$1" "$2" "$out"
    failed=1
}

self_test() {
    failed=0
    long=$(awk 'BEGIN { for (i = 0; i < 801; i++) printf "\\n" }')
    try base/a.c '' '#include "base/err.h"\n#include <sys/stat.h>\n'
    try base/a.c 'src/base/a.c:2: base must not include "store/x.h"' '\n#include "store/x.h"\n'
    try chunk/a.c 'chunk must not include "format/x.h"' '#include "format/x.h"\n'
    try format/a.c '' '#include "chunk/x.h"\n'
    try store/a.c 'store must not include "source/source.h"' '#  include "source/source.h"\n'
    try source/files/a.c 'source must not include "store/store.h"' '#include "store/store.h"\n'
    try backend/a.c 'backend must not include "catalog/x.h"' '#include "catalog/x.h"\n'
    try cli/a.c '' '#include "engine/x.h"\n'
    try base/a.c 'does not name its layer' '#include "err.h"\n'
    try base/a.c 'does not name its layer' '#include "../base/err.h"\n'
    try util/a.c 'is not a layer' '#include "base/err.h"\n'
    try base/a.c '<zstd.h> is included outside' '#include <zstd.h>\n'
    try base/a.c '<openssl/evp.h> is included outside' '#include <openssl/evp.h>\n'
    try chunk/a.c '' '#include <openssl/evp.h>\n#include <zstd.h>\n'
    try source/files/a.c '<sqlite3.h> is included outside' '#include <sqlite3.h>\n'
    try source/sqlite/a.c '' '#include <sqlite3.h>\n'
    try engine/a.c '<jansson.h> is included outside' '#include <jansson.h>\n'
    try source/vectors/a.c '' '#include <jansson.h>\n#include <archive.h>\n'
    try cli/a.c '<archive.h> is included outside' '#include <archive.h>\n'
    try cli/a.c 'belongs to no library' '#include <zip.h>\n'
    try base/a.c '801 lines' "$long"
    try base/a.c '' "${long#??}"
    try base/a.c 'src/base/a.c:1: strcpy is banned' 'int f(char *a) { strcpy (a, a); }\n'
    try base/a.c 'system is banned' 'char c = 34, d = \047"\047; int x = system("ls");\n'
    try base/a.c '' '/* system(x)\n   gets(y) */ // atoi(z)\nchar *s = "popen(\\" alloca(";\n'
    try base/a.c '' 'int my_system(int); int y = p->system(1) + q.gets(2) + snprintf(3);\n'
    try base/a.h 'src/base/a.h:1: does not compile alone' 'size_t f(void);\n'
    try base/a.h '' '#include "base/err.h"\nsize_t f(void);\n'
    return "$failed"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
case ${1-} in
--tree) check_tree "$2" ;;
*) self_test && check_tree "$(dirname "$self")/../.." ;;
esac
