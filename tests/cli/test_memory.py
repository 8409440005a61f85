"""Memory is bounded, whatever is stored (I8, EX3, P1, ST2): each process of each command stays under 96 MiB."""
import filecmp
import os
import subprocess

import harness
from harness import Case

LIMIT_KIB = 96 << 10
# Runs a command and writes the largest resident set of it and of its children to a file.
MEASURE = """import os, resource, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as f:
    f.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Memory(Case):
    def peak(self, *args):
        log = self.path("peak")
        self.snap(*args, prefix=("/usr/bin/env", "python3", "-c", MEASURE, log))
        return int(self.read(log))

    def test_every_long_command(self):
        if harness.SANITIZED:
            return  # a sanitizer's shadow memory is not the program's
        self.database("t/app.db", rows=20000)
        self.write("t/big", os.urandom(96 << 20))
        with open(self.path("t/sparse"), "wb") as f:
            f.truncate(1 << 40)
        for d in range(6):
            for i in range(500):
                self.write(f"t/d{d}/{i:03d}", b"%d %d" % (d, i))
        commands = [("backup", self.path("t")), ("backup", self.path("t")), ("list",), ("ls", "latest"),
                    ("restore", "latest", "--target", self.path("out"), "--include", self.path("t")),
                    ("verify", "--read-data", "--databases"), ("rebuild",)]
        for c in commands:
            with self.subTest(" ".join(c)):
                self.assertLess(self.peak(*c), LIMIT_KIB)
        self.assertTrue(filecmp.cmp(self.path("t/big"), self.path("out") + self.path("t/big"), shallow=False))

    def chain(self, top, make=0):
        """Directories each in the last one, with a file in each: made, or described as they are."""
        at, seen = os.open(top, os.O_RDONLY), []
        while not make or len(seen) < make:
            if make:
                with os.fdopen(os.open("a", os.O_WRONLY | os.O_CREAT, dir_fd=at), "wb") as f:
                    f.write(b"%d" % len(seen))
                os.mkdir("directory", 0o700 + len(seen) % 8, dir_fd=at)
            try:
                down = os.open("directory", os.O_RDONLY, dir_fd=at)
            except FileNotFoundError:
                break
            with os.fdopen(os.open("a", os.O_RDONLY, dir_fd=at), "rb") as f:
                seen.append(f.read())
            os.close(at)
            at = down
            st = os.fstat(at)
            seen[-1] = (seen[-1], st.st_mode, st.st_mtime_ns)
        os.close(at)
        return seen

    def test_deep_tree(self):
        """Paths far beyond PATH_MAX: a directory costs some bytes, not its path; and a few steps, not its depth."""
        os.mkdir(self.path("t"))
        self.addCleanup(subprocess.run, ["rm", "-rf", self.path("t"), self.path("out")], check=False)
        self.chain(self.path("t"), make=3000)
        old = self.chain(self.path("t"))
        self.assertEqual(len(old), 3000)
        self.snap("backup", self.path("t"))
        peak = self.peak("restore", "latest", "--target", self.path("out"))
        self.assertEqual(self.chain(self.path("out") + self.path("t")), old)
        if not harness.SANITIZED:
            self.assertLess(peak, LIMIT_KIB)
