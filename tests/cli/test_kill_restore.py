"""kill -9 of restore, undo and resume where the way is longest: a directory file by file under a database in use, a damaged
database, what stands there no more, what is set aside. test_kill.py has the plain ways.

Each test tries points for SNAP_TEST_KILL_SECONDS (default 6; 0, or SNAP_TEST_LONG=1: all of them)."""
import os
import shutil
import sqlite3
import time

import harness
import test_kill
from harness import Case

SECONDS = 0 if harness.LONG else float(os.environ.get("SNAP_TEST_KILL_SECONDS", "6"))


class Harder(Case):
    count, killed, save, load = (test_kill.Kill.count, test_kill.Kill.killed, test_kill.Kill.save, test_kill.Kill.load)

    def setUp(self):
        super().setUp()
        if not shutil.which("strace"):
            self.fail("needs strace")
        self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        self.tree = self.path("live/tree")
        self.db = self.database("live/tree/sub/app.db", rows=200)
        for i in range(4):
            self.write(f"live/tree/d{i % 2}/f{i}", os.urandom(20000))
        os.link(self.path("live/tree/d0/f0"), self.path("live/tree/d1/second name"))
        self.alone = self.database("live/alone.db", rows=200, wal=False)
        self.one = self.write("live/one", b"old")
        self.gone = self.write("live/gone", b"gone")
        self.first = self.backup(self.tree, self.alone, self.one, self.gone)
        self.old = self.state()
        self.change(self.db)
        self.write("live/tree/d0/f0", os.urandom(30000))
        self.write("live/tree/d1/new/er", b"new")
        os.unlink(self.path("live/tree/d1/f1"))
        with open(self.alone, "r+b") as f:
            f.write(b"\xbb" * 6000)
        self.write("live/alone.db-journal", b"whatever stood here")
        self.write("live/one", b"new")
        os.unlink(self.gone)
        self.new = self.state()
        self.mine = ["repo", "cache", "live"]

    def alone_state(self):
        data = self.read(self.alone) if os.path.exists(self.alone) else None
        if data and data.startswith(b"SQLite format 3"):
            return self.dump_rows(self.alone)
        journal = self.alone + "-journal"
        return data, self.read(journal) if os.path.exists(journal) else None

    def state(self):
        files = {n: what[4:] for n, what in self.describe(self.tree)[0].items()
                 if what[0] == 0o100000 and b"app.db" not in n}
        return (self.dump_rows(self.db), files, self.alone_state(), self.read(self.one),
                self.read(self.gone) if os.path.exists(self.gone) else None)

    def wholly(self, by_file, *allowed):
        """Each item is in one of the states. A directory that goes file by file is between them until it is resumed or taken
        back, and so are a damaged database's journal and it: but each file is in one."""
        now = self.state()
        for i in (0, 3, 4):
            self.assertIn(now[i], [s[i] for s in allowed], i)
        if len(allowed) == 1:
            self.assertEqual(now[2], allowed[0][2])
            self.assertEqual(now[1], allowed[0][1])
        elif not by_file:
            self.assertIn(now[1], [s[1] for s in allowed])
        else:
            for n, what in now[1].items():
                if b".snap-new-" not in n:
                    self.assertIn(what, [s[1].get(n) for s in allowed], n)

    def points(self, counts):
        every = sorted((((n * 0.6180339887) % 1 if n > 1 else -1), call, n) for call, most in counts.items()
                       for n in range(1, most + 1))
        until = time.monotonic() + SECONDS
        for i, (_, call, n) in enumerate(every):
            if SECONDS and time.monotonic() > until and i >= 5:
                break
            yield i, call, n

    def user(self, in_use):
        """Somebody who has the database in the tree open."""
        if not in_use:
            return None
        db = sqlite3.connect(self.db)
        db.execute("select count(*) from a").fetchone()
        return db

    def end_it(self, i, by_file, args):
        """After a kill: resume or undo, and the other way round again. Leaves self.new."""
        self.wholly(by_file, self.old, self.new)
        said = self.snap("list").err
        if "was cut off" in said and i % 2:
            self.snap("restore", "--resume", *args)
            self.wholly(by_file, self.old)
        if "was cut off" in said or self.read(self.one) == b"old":
            self.snap("undo", "--yes", *args)
        self.wholly(by_file, self.new)
        self.assertNotIn("was cut off", self.snap("list").err)

    def swept(self):
        """A later restore leaves nothing of those that were cut off."""
        self.snap("restore", self.first, "--include", self.one, "--include", self.db, "--include", self.alone, "--yes")
        left = [n for n in os.listdir(self.path("live")) if n.startswith(".snap-")]
        self.assertEqual(left, [])

    def run_all(self, args, in_use):
        self.save("base")
        user = self.user(in_use)
        counts = self.count("-q", *args)
        if user:
            user.close()
        for i, call, n in self.points(counts):
            with self.subTest(call=call, n=n):
                self.load("base")
                user = self.user(in_use)
                self.killed(call, n, "-q", *args)
                self.end_it(i, in_use, [])
                if user:
                    user.close()
                self.swept()

    def test_exchange_and_raw(self):
        self.run_all(["restore", self.first, "--yes"], False)

    def test_file_by_file(self):
        self.run_all(["restore", self.first, "--yes"], True)

    def test_aside(self):
        self.run_all(["restore", self.first, "--forensic", "aside", "--yes"], False)

    def test_resume_that_is_killed(self):
        self.save("base")
        counts = self.count("-q", "restore", self.first, "--yes")
        half = max(2, counts.get("renameat2", 4) // 2)
        for i, call, n in self.points(counts):
            with self.subTest(call=call, n=n):
                self.load("base")
                self.killed("renameat2", half + i % 3, "-q", "restore", self.first, "--yes")
                self.killed(call, n, "-q", "restore", "--resume")
                self.wholly(False, self.old, self.new)
                self.killed(call, 1 + n // 2, "-q", *(["undo", "--yes"] if i % 2 else ["restore", "--resume"]))
                self.wholly(False, self.old, self.new)
                if "was cut off" in self.snap("list").err:
                    self.snap("undo", "--yes")  # of an undo whose restore had ended: that is a redo
                    self.assertIn(self.state(), (self.old, self.new))
                self.assertNotIn("was cut off", self.snap("list").err)
                self.swept()
