"""Memory is bounded, whatever is stored (I8, EX3, P1, ST2): each process of each command stays under 96 MiB."""
import filecmp
import os

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
