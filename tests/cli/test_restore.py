"""Restore: the target is wholly old or wholly new, what was replaced is kept, and undo brings it back."""
import fcntl
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time

from harness import Case

SUMMARY_KEYS = {"message_type", "snapshot_id", "run_id", "target", "forensic_id", "bytes", "duration_s", "items"}


class Target(Case):
    def test_layout_and_summary(self):
        db = self.database(rows=200)
        self.write("tree/a/b", b"data")
        one = self.write("one", b"1")
        snap = self.backup(db, self.path("tree"), one)
        rows = self.dump_rows(db)
        s = self.summary("restore", snap, "--target", self.path("out/deeper"))
        self.assertLessEqual(SUMMARY_KEYS, set(s))
        self.assertEqual((s["snapshot_id"], s["forensic_id"]), (snap, None))
        self.assertEqual({i["source"] for i in s["items"]}, {db, self.path("tree"), one})
        self.assertTrue(all(i["facts_match"] for i in s["items"]), s)
        out = self.path("out/deeper")
        self.assertEqual(self.dump_rows(out + db), rows)
        self.assertEqual(self.read(out + self.path("tree/a/b")), b"data")
        self.assertEqual(self.read(out + one), b"1")

    def test_target_that_is_not_empty(self):
        one = self.write("one", b"1")
        self.snap("backup", one)
        self.write("out/mine", b"mine")
        self.fails(14, "target-exists", "restore", "latest", "--target", self.path("out"))
        self.assertEqual(os.listdir(self.path("out")), ["mine"])
        self.write("file", b"f")
        r = self.run_snap("--json", "restore", "latest", "--target", self.path("file"))
        self.assertEqual(r.code, 14, str(r))
        os.mkdir(self.path("empty"))
        self.snap("restore", "latest", "--target", self.path("empty"))
        self.assertEqual(self.read(self.path("empty") + one), b"1")

    def test_dry_run(self):
        one = self.write("one", b"1")
        self.snap("backup", one)
        out = self.snap("restore", "latest", "--target", self.path("out"), "--dry-run").out
        self.assertIn(one, out)
        self.assertFalse(os.path.exists(self.path("out")))
        out = self.snap("restore", "latest", "--dry-run").out
        self.assertIn(one, out)
        s = self.summary("restore", "latest", "--dry-run")
        self.assertIsNone(s["run_id"])

    def test_some_only(self):
        a, b = self.write("t/a", b"a"), self.write("t/sub/b", b"b")
        c = self.write("u/c", b"c")
        self.snap("backup", self.path("t"), self.path("u"))
        self.snap("restore", "latest", "--target", self.path("o1"), "--source", self.path("u"))
        self.assertTrue(os.path.exists(self.path("o1") + c))
        self.assertFalse(os.path.exists(self.path("o1") + a))
        self.snap("restore", "latest", "--target", self.path("o2"), "--include", self.path("t/sub"))
        self.assertEqual(self.read(self.path("o2") + b), b"b")
        self.assertFalse(os.path.exists(self.path("o2") + a))
        self.assertFalse(os.path.exists(self.path("o2") + c))
        r = self.run_snap("--json", "restore", "latest", "--target", self.path("o3"), "--include", "/nowhere")
        self.assertEqual((r.code, r.last()["name"]), (1, "unknown-path"), str(r))
        self.fails(2, "usage", "restore", "latest", "--target", self.path("o3"), "--include", "relative")

    def test_all_kinds_of_files(self):
        t = self.path("t")
        self.write("t/plain", b"plain", 0o640)
        self.write("t/setuid", b"x", 0o4755)
        self.write("t/empty", b"")
        self.write("t/noaccess", b"x", 0)
        os.link(self.path("t/plain"), self.path("t/second name"))
        os.makedirs(self.path("t/d/e/f"))
        os.link(self.path("t/plain"), self.path("t/d/third"))
        os.chmod(self.path("t/d"), 0o1777)
        os.chmod(self.path("t/d/e"), 0o500)
        os.symlink("plain", self.path("t/link"))
        os.symlink("/does/not/exist", self.path("t/dangling"))
        os.mkfifo(self.path("t/fifo"), 0o600)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.path("t/socket"))
        if os.geteuid() == 0:
            os.mknod(self.path("t/null"), 0o20666, os.makedev(1, 3))
            os.mknod(self.path("t/loop"), 0o60600, os.makedev(7, 0))
            os.chown(self.path("t/plain"), 1234, 5678)
            os.lchown(self.path("t/link"), 42, 43)
        with open(self.path("t/sparse"), "wb") as f:
            f.seek(1 << 22)
            f.write(b"end")
            f.truncate(1 << 23)
        try:
            os.setxattr(self.path("t/plain"), "user.note", b"\x00binary\xff")
            os.setxattr(self.path("t/d"), "user.big", b"b" * 3000)
        except OSError:
            pass  # a file system without them
        os.utime(self.path("t/empty"), ns=(1, 1234567890123456789))
        os.utime(self.path("t/link"), ns=(5, 987654321000000001), follow_symlinks=False)
        os.utime(self.path("t/d"), ns=(5, 1000000000000000007))
        before = self.describe(t)
        self.snap("backup", t)
        self.same_tree(before, self.describe(t))
        self.snap("restore", "latest", "--target", self.path("out"))
        self.same_tree(before, self.describe(self.path("out") + t))
        self.assertLess(os.stat(self.path("out") + self.path("t/sparse")).st_blocks * 512, 1 << 20)
        shutil.rmtree(t)
        self.snap("restore", "latest", "--yes")
        self.same_tree(before, self.describe(t))

    def test_refuses_to_leave_the_target(self):
        self.write("t/dir/file", b"x")
        self.snap("backup", self.path("t"))
        os.makedirs(self.path("out") + self.dir)
        self.fails(14, "target-exists", "restore", "latest", "--target", self.path("out"))


class InPlace(Case):
    def test_needs_yes(self):
        one = self.write("one", b"old")
        self.snap("backup", one)
        self.write("one", b"new")
        self.fails(2, "needs-confirmation", "restore", "latest")
        self.fails(2, "needs-confirmation", "undo")
        for wrong in ("zz", "latest~99", "latest@none", "abcdef12"):
            self.fails(1, "unknown-id", "restore", wrong)
        self.assertEqual(self.read(one), b"new")

    def test_round_trip_of_everything(self):
        """Restore, undo, undo again (redo): each state as it was, to the byte."""
        db = self.database(rows=800)
        self.write("tree/same", b"same")
        self.write("tree/sub/old", b"old")
        one = self.write("one", b"one old")
        tree = self.path("tree")
        snap = self.backup(db, tree, one)
        old = self.dump_rows(db), self.describe(tree), self.read(one)
        self.change(db)
        self.write("tree/sub/extra", b"extra")
        os.unlink(self.path("tree/sub/old"))
        self.write("one", b"one new")
        new = self.dump_rows(db), self.describe(tree), self.read(one)

        s = self.summary("restore", snap, "--yes")
        self.assertIsNotNone(s["forensic_id"])
        self.assertTrue(all(i["facts_match"] for i in s["items"]), s)

        def now_is(state):
            self.assertEqual(self.dump_rows(db), state[0])
            self.same_tree(self.describe(tree), state[1])
            self.assertEqual(self.read(one), state[2])
        now_is(old)
        forensic = [r for r in self.query("list") if r["kind"] == "forensic"]
        self.assertEqual([r["id"] for r in forensic], [s["forensic_id"]])
        self.assertEqual(self.query("show", "latest")["id"], snap, "latest is no forensic copy")
        self.snap("undo", "--yes")
        now_is(new)
        self.snap("undo", "--yes")
        now_is(old)
        self.snap("undo", s["run_id"], "--yes")
        now_is(new)
        self.snap("verify", "--read-data", "--databases")
        self.assertEqual([n for n in os.listdir(self.dir) if "snap" in n and n != "snap.conf"], [], "nothing is left beside")

    def test_undo_of_nothing(self):
        self.fails(1, "nothing-to-do", "undo", "--yes")
        self.fails(1, "nothing-to-do", "restore", "--resume", "--yes")

    def test_target_that_is_gone(self):
        db = self.database(rows=50)
        self.write("tree/a", b"a")
        self.snap("backup", db, self.path("tree"))
        rows, tree = self.dump_rows(db), self.describe(self.path("tree"))
        os.unlink(db)
        shutil.rmtree(self.path("tree"))
        self.snap("restore", "latest", "--yes")
        self.assertEqual(self.dump_rows(db), rows)
        self.same_tree(self.describe(self.path("tree")), tree)
        self.snap("undo", "--yes")
        self.assertFalse(os.path.exists(db))
        self.assertFalse(os.path.exists(self.path("tree")))

    def test_parent_that_is_gone(self):
        self.write("p/q/tree/a", b"a")
        self.snap("backup", self.path("p/q/tree"))
        shutil.rmtree(self.path("p"))
        self.snap("restore", "latest", "--yes")
        self.assertEqual(self.read(self.path("p/q/tree/a")), b"a")

    def test_include_touches_nothing_else(self):
        self.write("t/a", b"a")
        self.write("t/sub/b", b"b")
        self.snap("backup", self.path("t"))
        self.write("t/a", b"changed a")
        self.write("t/sub/b", b"changed b")
        self.write("t/sub/extra", b"extra")
        self.snap("restore", "latest", "--include", self.path("t/sub/b"), "--yes")
        self.assertEqual(self.read(self.path("t/a")), b"changed a")
        self.assertEqual(self.read(self.path("t/sub/b")), b"b")
        self.assertEqual(self.read(self.path("t/sub/extra")), b"extra")
        self.snap("undo", "--yes")
        self.assertEqual(self.read(self.path("t/sub/b")), b"changed b")

    def test_one_source(self):
        a, b = self.write("a", b"a"), self.write("b", b"b")
        self.snap("backup", a, b)
        self.write("a", b"A")
        self.write("b", b"B")
        self.snap("restore", "latest", "--source", a, "--yes")
        self.assertEqual((self.read(a), self.read(b)), (b"a", b"B"))

    def test_unknown_source_name(self):
        self.snap("backup", self.write("a", b"a"))
        r = self.run_snap("--json", "restore", "latest", "--source", "nonsense", "--yes")
        self.assertIn(r.code, (1, 2), str(r))

    def test_corrupt_database_and_undo(self):
        """The forensic copy of a damaged database is its very bytes, sidecars too, and undo brings them back."""
        db = self.database(rows=3000)
        rows = self.dump_rows(db)
        self.snap("backup", db)
        with open(db, "r+b") as f:
            f.seek(0)
            f.write(b"\xde\xad" * 3000)
            f.seek(4096 * 9)
            f.write(b"\xbe\xef" * 4096)
        self.write("app.db-wal", b"not a wal at all" * 100)
        self.write("app.db-journal", b"")
        broken = {n: self.read(self.path(n)) for n in ("app.db", "app.db-wal")}
        self.snap("restore", "latest", "--yes")
        self.assertEqual(self.dump_rows(db), rows)
        self.snap("undo", "--yes")
        self.assertEqual({n: self.read(self.path(n)) for n in broken}, broken)
        self.snap("undo", "--yes")
        self.assertEqual(self.dump_rows(db), rows)

    def test_stale_sidecars_do_not_come_back(self):
        db = self.database(rows=300)
        rows = self.dump_rows(db)
        self.snap("backup", db)
        writer = sqlite3.connect(db)
        writer.execute("pragma wal_autocheckpoint=0")
        writer.execute("update a set t = 'stale'")
        writer.commit()
        copies = {s: self.read(db + s) for s in ("", "-wal", "-shm")}
        writer.close()
        for s, data in copies.items():
            self.write("app.db" + s, data)
        self.snap("restore", "latest", "--yes")
        self.assertEqual(self.dump_rows(db), rows)

    def test_inode_and_owner_stay(self):
        db = self.database("own/app.db", rows=100)
        if os.geteuid() == 0:
            os.chmod(self.dir, 0o755)
            os.chown(self.path("own"), 4321, 4321)
            os.chown(db, 4321, 4321)
        os.chmod(db, 0o640)
        before = os.stat(db)
        self.snap("backup", db)
        writer = sqlite3.connect(db)
        self.change(db)
        self.snap("restore", "latest", "--yes")
        writer.close()
        after = os.stat(db)
        self.assertEqual((before.st_ino, before.st_uid, before.st_mode), (after.st_ino, after.st_uid, after.st_mode))
        self.check_invariant(db)

    def test_symlinked_parents(self):
        self.write("real/tree/a", b"a")
        os.symlink("real", self.path("link"))
        self.snap("backup", self.path("link/tree"))
        self.write("real/tree/a", b"changed")
        self.snap("restore", "latest", "--yes")
        self.assertEqual(self.read(self.path("real/tree/a")), b"a")

    def test_target_became_a_symlink(self):
        """What the link points to is not touched."""
        self.write("tree/a", b"a")
        self.write("victim/a", b"victim")
        self.snap("backup", self.path("tree"))
        shutil.rmtree(self.path("tree"))
        os.symlink("victim", self.path("tree"))
        r = self.run_snap("restore", "latest", "--yes")
        self.assertEqual(self.read(self.path("victim/a")), b"victim")
        if r.code == 0:
            self.assertFalse(os.path.islink(self.path("tree")))
            self.assertEqual(self.read(self.path("tree/a")), b"a")
        else:
            self.assertEqual(r.code, 14, str(r))

    def test_forensic_none_and_aside(self):
        one = self.write("one", b"old")
        self.write("tree/x", b"old")
        self.snap("backup", one, self.path("tree"))
        self.write("one", b"new")
        self.write("tree/x", b"new")
        s = self.summary("restore", "latest", "--forensic", "none", "--yes")
        self.assertIsNone(s["forensic_id"])
        self.assertEqual((self.read(one), self.read(self.path("tree/x"))), (b"old", b"old"))
        self.write("one", b"newer")
        self.write("tree/x", b"newer")
        s = self.summary("restore", "latest", "--forensic", "aside", "--yes")
        self.assertEqual((self.read(one), self.read(self.path("tree/x"))), (b"old", b"old"))
        aside = {n: self.path(n) for n in os.listdir(self.dir) if "snap-replaced" in n}
        self.assertEqual(sorted(n.split(".")[0] for n in aside), ["one", "tree"])
        for n, p in aside.items():
            self.assertEqual(self.read(p if n.startswith("one") else p + "/x"), b"newer")
        r = self.run_snap("undo", "--yes")
        if r.code == 0:
            self.assertEqual((self.read(one), self.read(self.path("tree/x"))), (b"newer", b"newer"))
        else:
            self.assertIn("snap-replaced", r.err, "it says where the originals are")

    def test_damaged_snapshot_touches_nothing(self):
        tree = self.path("tree")
        self.write("tree/a", os.urandom(200000))
        self.snap("backup", tree)
        self.write("tree/a", b"live")
        before = self.describe(tree)
        place = os.path.join(self.repo, "packs")
        for d, _, names in os.walk(place):
            for n in names:
                with open(os.path.join(d, n), "r+b") as f:
                    f.seek(os.fstat(f.fileno()).st_size // 2)
                    f.write(os.urandom(64))
        r = self.run_snap("--json", "restore", "latest", "--yes")
        self.assertEqual(r.code, 13, str(r))
        self.same_tree(self.describe(tree), before)
        self.assertEqual(sorted(os.listdir(self.dir)), ["cache", "empty.conf", "key", "repo", "tree"])


WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
n = 0
while True:
    db.execute('begin immediate')
    db.execute('insert into a(v, t) values(?, ?)', (n, 'live'))
    db.execute('insert into b(v) values(?)', (-n,))
    db.execute('commit')
    n += 1
    if n == 1:
        print('ready', flush=True)
"""
HOLDER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] == 'exclusive':
    db.execute('pragma locking_mode=exclusive')
    db.execute('begin exclusive'); db.execute('update b set v = v'); db.execute('commit')
db.execute('select count(*) from a').fetchone()
print('ready', flush=True)
sys.stdin.read()
"""


class Users(Case):
    """Databases and files that someone has open."""

    def start(self, code, *args):
        p = subprocess.Popen([sys.executable, "-c", code, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.end, p)
        self.assertEqual(p.stdout.readline(), b"ready\n")
        return p

    @staticmethod
    def let_go(p):
        p.stdin.close()
        p.stdin = None
        p.wait(timeout=30)

    def test_under_a_reader(self):
        db = self.database(rows=300)
        rows = self.dump_rows(db)
        self.snap("backup", db)
        self.change(db)
        user = sqlite3.connect(db)
        self.assertGreater(user.execute("select count(*) from a where t = 'changed'").fetchone()[0], 0)
        user.rollback()
        self.snap("restore", "latest", "--yes")
        self.assertEqual(user.execute("select count(*) from a where t = 'changed'").fetchone()[0], 0)
        user.close()
        self.assertEqual(self.dump_rows(db), rows)

    def test_under_a_writer(self):
        db = self.database(rows=300)
        self.snap("backup", db)
        self.start(WRITER, db)
        self.snap("restore", "latest", "--yes")
        time.sleep(0.2)
        self.check_invariant(db)

    def test_exclusive_is_refused(self):
        db = self.database(rows=50, wal=False)
        self.snap("backup", db)
        self.start(HOLDER, db, "exclusive")
        before = self.read(db)
        self.fails(14, "target-in-use", "restore", "latest", "--yes")
        self.assertEqual(self.read(db), before)

    def test_another_page_size_in_wal_mode_is_refused(self):
        db = self.database(rows=50, page_size=4096)
        self.snap("backup", db)
        os.unlink(db)
        self.database(rows=20, page_size=8192)
        user = self.start(HOLDER, db, "shared")
        self.fails(14, "target-in-use", "restore", "latest", "--yes")
        self.check_invariant(db)
        self.let_go(user)
        self.snap("restore", "latest", "--yes")
        self.assertEqual(sqlite3.connect(db).execute("pragma page_size").fetchone(), (4096,))
        self.check_invariant(db)

    def test_damaged_with_holder_is_refused(self):
        db = self.database(rows=2000, wal=False)
        self.snap("backup", db)
        user = self.start(HOLDER, db, "shared")
        with open(db, "r+b") as f:
            f.write(b"\xaa" * 4096)
        before = self.read(db)
        self.fails(14, "target-in-use", "restore", "latest", "--yes")
        self.assertEqual(self.read(db), before)
        self.let_go(user)
        self.snap("restore", "latest", "--yes")
        self.check_invariant(db)

    def test_open_plain_file_is_warned_about(self):
        one = self.write("one", b"old")
        self.snap("backup", one)
        self.write("one", b"new")
        with open(one, "r+b"):
            r = self.snap("restore", "latest", "--yes")
        self.assertIn("in use by", r.err)
        self.assertEqual(self.read(one), b"old")

    def test_rollback_mode(self):
        db = self.database(rows=300, wal=False)
        rows = self.dump_rows(db)
        self.snap("backup", db)
        self.change(db)
        changed = self.dump_rows(db)
        self.snap("restore", "latest", "--yes")
        self.assertEqual(self.dump_rows(db), rows)
        self.snap("undo", "--yes")
        self.assertEqual(self.dump_rows(db), changed)

    def test_mount_point_is_refused(self):
        import harness
        if os.geteuid() != 0 or not harness.namespaces_work():
            self.fail("needs root and unshare to make a mount")
        self.write("tree/a", b"a")
        self.snap("backup", self.path("tree"))
        script = 'mount -t tmpfs none "$1" && echo live > "$1/b" && "$0" --json restore latest --yes; r=$?; cat "$1/b"; exit $r'
        p = subprocess.run(["unshare", "-m", "sh", "-c", script, harness.SNAP, self.path("tree")], env=self.env,
                           capture_output=True, timeout=60)
        self.assertEqual(p.returncode, 14, p)
        self.assertTrue(p.stdout.endswith(b"live\n"))

    def test_immutable_lock_is_no_harm(self):
        """A lock of flock() on a plain file keeps nobody from restoring it."""
        one = self.write("one", b"old")
        self.snap("backup", one)
        with open(one) as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.snap("restore", "latest", "--yes")
        self.assertEqual(self.read(one), b"old")
