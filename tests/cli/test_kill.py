"""kill -9 at a write, a sync, a link, a rename: nothing that was stored is harmed (I1, I5), nothing half-made is seen (I2),
a target is wholly old or wholly new (I7), and the next run succeeds.

strace kills the program at the n-th call of one kind. SNAP_TEST_KILL_SECONDS bounds each test (default 12); 0 tries all."""
import os
import shutil
import subprocess
import time

import harness
from harness import Case

CALLS = "write pwrite64 fsync fdatasync syncfs linkat link renameat2 rename renameat unlinkat unlink mkdirat mkdir ftruncate".split()
SECONDS = float(os.environ.get("SNAP_TEST_KILL_SECONDS", "12"))


class Kill(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("strace"):
            self.fail("needs strace")
        self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # it does not work under strace
        self.db = self.database("live/app.db", rows=400)
        self.tree = self.path("live/tree")
        for i in range(6):
            self.write(f"live/tree/d{i % 2}/f{i}", os.urandom(30000))
        os.symlink("d0", self.path("live/tree/link"))
        self.first = self.backup(self.db, self.tree)
        self.old = self.state()
        self.change(self.db)
        self.write("live/tree/d0/f0", os.urandom(40000))
        self.write("live/tree/d1/new", b"new")
        os.unlink(self.path("live/tree/d1/f1"))
        self.new = self.state()
        self.mine = ["repo", "cache", "live"]
        self.log_head = len(os.listdir(os.path.join(self.repo, "log")))

    def state(self, top=""):
        return self.dump_rows(top + self.db), self.describe(top + self.tree)

    def save(self, name):
        for n in self.mine:
            subprocess.run(["cp", "-a", self.path(n), self.path(f"{name}-{n}")], check=True)

    def load(self, name):
        """Inodes change, as after any copy; times do not."""
        for n in os.listdir(self.dir):
            if not n.startswith((name + "-", "key", "empty.conf", "calls")):
                shutil.rmtree(self.path(n)) if os.path.isdir(self.path(n)) else os.unlink(self.path(n))
        for n in self.mine:
            subprocess.run(["cp", "-a", self.path(f"{name}-{n}"), self.path(n)], check=True)

    def count(self, *args):
        """How often each call is made, at most, by one process or thread of the run."""
        counts = {}
        p = subprocess.run(["strace", "-f", "-qq", "-o", self.path("calls"), "-e", "trace=" + ",".join(CALLS), harness.SNAP,
                            *args], env=self.env, capture_output=True, cwd=self.dir, timeout=120)
        self.assertEqual(p.returncode, 0, p.stderr)
        with open(self.path("calls"), errors="replace") as f:
            for line in f:
                pid, _, rest = line.partition(" ")
                call = rest.strip().split("(")[0]
                if call in CALLS:
                    counts[call, pid] = counts.get((call, pid), 0) + 1
        return {c: max(n for (x, _), n in counts.items() if x == c) for c in {c for c, _ in counts}}

    def points(self, counts):
        """Every (call, n), those spread most widely first, until time is up."""
        every = sorted((((n * 0.6180339887) % 1 if n > 1 else -1), call, n) for call, most in counts.items()
                       for n in range(1, most + 1))
        until = time.monotonic() + SECONDS
        done = 0
        for _, call, n in every:
            if SECONDS and time.monotonic() > until:
                break
            done += 1
            yield call, n
        self.assertGreaterEqual(done, min(len(every), 5), "too slow to have tried anything")

    def killed(self, call, n, *args):
        p = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                            f"inject={call}:signal=KILL:when={n}", harness.SNAP, *args], env=self.env, cwd=self.dir,
                           capture_output=True, timeout=120)
        return p.returncode

    def check_stored(self):
        """I1 and I2: what is listed is whole."""
        rows = self.query("list")
        self.assertEqual(rows[0]["id"], self.first)
        for row in rows:
            out = self.path("out", row["id"])
            self.snap("restore", row["id"], "--target", out)
            if row["id"] == self.first:
                self.assertEqual(self.state(out), self.old)
            elif row["kind"] == "backup" and row["state"] == "good":
                self.assertEqual(self.state(out), self.new)
        shutil.rmtree(self.path("out"))
        return rows

    def test_backup(self):
        self.save("base")
        args = ["-q", "backup", self.db, self.tree]
        counts = self.count(*args)
        for call, n in self.points(counts):
            with self.subTest(call=call, n=n):
                self.load("base")
                self.killed(call, n, *args)
                self.assertEqual(self.state(), self.new, "a backup does not change its source")
                self.check_stored()
                self.snap("backup", self.db, self.tree)
                self.snap("verify", "--read-data")
                self.snap("restore", "latest", "--target", self.path("out"))
                self.assertEqual(self.state(self.path("out")), self.new)

    def wholly(self, allowed):
        """Each item is in one of the states, and the database opens as one of them."""
        now = self.state()
        for i, what in enumerate(("database", "directory")):
            self.assertIn(now[i], [s[i] for s in allowed], what)
        return now

    def test_restore(self):
        self.save("base")
        args = ["-q", "restore", self.first, "--yes"]
        counts = self.count(*args)
        for i, (call, n) in enumerate(self.points(counts)):
            with self.subTest(call=call, n=n):
                self.load("base")
                self.killed(call, n, *args)
                self.wholly([self.old, self.new])
                r = self.snap("list")
                pending = "was cut off" in r.err
                if pending and i % 2:
                    self.snap("restore", "--resume")
                    self.assertEqual(self.wholly([self.old]), self.old)
                    self.snap("undo", "--yes")
                    self.assertEqual(self.wholly([self.new]), self.new)
                elif pending:
                    self.snap("undo", "--yes")
                    self.assertEqual(self.wholly([self.new]), self.new)
                self.assertNotIn("was cut off", self.snap("list").err)
                self.snap("restore", self.first, "--yes")
                self.assertEqual(self.wholly([self.old]), self.old)
                self.snap("verify", "--read-data")

    def test_undo(self):
        self.snap("restore", self.first, "--yes")
        self.assertEqual(self.wholly([self.old]), self.old)
        self.save("base")
        args = ["-q", "undo", "--yes"]
        counts = self.count(*args)
        for i, (call, n) in enumerate(self.points(counts)):
            with self.subTest(call=call, n=n):
                self.load("base")
                self.killed(call, n, *args)
                self.wholly([self.old, self.new])
                if "was cut off" in self.snap("list").err:
                    self.snap("restore", "--resume")
                    self.assertEqual(self.wholly([self.new]), self.new)
                self.assertNotIn("was cut off", self.snap("list").err)
                self.snap("verify", "--read-data")

    def test_killed_twice(self):
        """A restore that is killed, and killed again while it is resumed or taken back."""
        self.save("base")
        args = ["-q", "restore", self.first, "--yes"]
        counts = self.count(*args)
        for i, (call, n) in enumerate(self.points(counts)):
            with self.subTest(call=call, n=n):
                self.load("base")
                self.killed(call, n, *args)
                if "was cut off" not in self.snap("list").err:
                    continue
                again = ["-q", "restore", "--resume"] if i % 2 else ["-q", "undo", "--yes"]
                self.killed(call, 1 + n // 3, *again)
                self.wholly([self.old, self.new])
                said = self.snap("list").err
                if "was cut off" in said:
                    p = self.run_snap("undo", "--yes")
                    self.assertEqual(p.code, 0, f"after {again}: {said}{p}")
                    self.wholly([self.new])
                self.assertNotIn("was cut off", self.snap("list").err)

    def test_rebuild_and_init(self):
        self.save("base")
        counts = self.count("-q", "rebuild")
        for call, n in self.points(counts):
            with self.subTest(call=call, n=n):
                self.load("base")
                self.killed(call, n, "-q", "rebuild")
                self.check_stored()
        args = ["-q", "init", "--repo", self.path("made"), "--key-file", self.path("key-made")]
        counts = self.count(*args)
        for call, n in self.points(counts):
            with self.subTest(call=call, n=n):
                shutil.rmtree(self.path("made"), ignore_errors=True)
                self.killed(call, n, *args)
                if self.run_snap("list", "--repo", self.path("made"), "--key-file", self.path("key-made")).code != 0:
                    shutil.rmtree(self.path("made"), ignore_errors=True)
                    self.snap(*args)
