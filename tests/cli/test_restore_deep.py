"""Restore in the odd corners: names, links, several and nested sources, file systems that cannot exchange, mounts, no space,
originals set aside, undo of undo, steps that fail."""
import os
import shutil
import sqlite3
import subprocess
import sys
import time

import harness
from harness import Case
from test_restore import HOLDER, WRITER


class Deep(Case):
    def setUp(self):
        super().setUp()
        self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"

    def traced(self, rule, *args, code=0):
        """Run it with system calls that fail as the rule says."""
        if not shutil.which("strace"):
            self.fail("needs strace")
        call = rule.split(":")[0]
        r = self.run_snap(*args, prefix=("strace", "-f", "-qq", "-o", self.path("trace"), "-e", f"trace={call}", "-e",
                                         f"inject={rule}"))
        if code is not None:
            self.assertEqual(r.code, code, str(r))
        return r

    def clean(self, where=None):
        """No staging place, nothing that was set aside."""
        left = [os.path.join(d, n) for d, dirs, files in os.walk(where or self.dir) for n in dirs + files
                if ".snap-" in n and not d.startswith((self.repo, self.cache))]
        self.assertEqual(left, [])

    def hold(self, *args):
        p = subprocess.Popen([sys.executable, "-c", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.end, p)
        self.assertEqual(p.stdout.readline(), b"ready\n")
        return p

    @staticmethod
    def let_go(p):
        p.stdin.close()
        p.stdin = None
        p.wait(timeout=30)

    def rich_tree(self, name="t"):
        t = self.path(name)
        self.write(name + "/plain", b"plain", 0o640)
        self.write(name + "/setuid", b"x", 0o4755)
        self.write(name + "/d/e/deep", b"deep")
        self.write(os.fsencode(name) + b"/new\nline", b"n")
        self.write(os.fsencode(name) + b"/bad\xff\xfe", b"b")
        os.link(t + "/plain", t + "/d/second")
        os.symlink("/does/not/exist", t + "/dangling")
        os.mkfifo(t + "/fifo", 0o600)
        with open(t + "/sparse", "wb") as f:
            f.truncate(1 << 22)
            f.seek(1 << 21)
            f.write(b"middle")
        try:
            os.setxattr(t + "/plain", "user.note", b"\x00binary\xff")
        except OSError:
            pass
        if shutil.which("setfacl"):
            subprocess.run(["setfacl", "-m", "u:1234:rw", t + "/d/e/deep"], check=False, stderr=subprocess.DEVNULL)
        return t


class Directories(Deep):
    def test_everything_in_place(self):
        t = self.rich_tree()
        old = self.describe(t)
        self.snap("backup", t)
        shutil.rmtree(t + "/d")
        os.unlink(t + "/sparse")
        self.write("t/extra/file", b"extra")
        self.write("t/plain", b"changed")
        os.unlink(t + "/fifo")
        os.mkdir(t + "/fifo")
        new = self.describe(t)
        s = self.summary("restore", "latest", "--yes")
        self.assertIn("exchange", s["items"][0]["action"])
        self.same_tree(self.describe(t), old)
        self.assertLess(os.stat(t + "/sparse").st_blocks * 512, 1 << 20)
        self.snap("undo", "--yes")
        self.same_tree(self.describe(t), new)
        self.clean()

    def test_without_exchange(self):
        """A file system that knows neither RENAME_EXCHANGE nor RENAME_NOREPLACE."""
        t, one = self.rich_tree(), self.write("one", b"old one")
        db = self.database("t/app.db", rows=100)
        alone = self.database("alone.db", rows=100)
        old = self.describe(t)[0]
        rows = self.dump_rows(db)
        self.snap("backup", t, one, alone)
        self.change(db)
        changed = self.dump_rows(db)
        self.write("one", b"new one")
        with open(alone, "r+b") as f:
            f.write(b"\xaa" * 8192)
        broken = self.read(alone)
        shutil.rmtree(t + "/d")
        self.write("t/plain/is/now/a/directory", b"") if not os.unlink(t + "/plain") else None
        self.write("t/extra/file", b"extra")
        os.unlink(t + "/fifo")
        self.traced("renameat2:error=EINVAL", "restore", "latest", "--yes")
        self.assertEqual(self.dump_rows(db), rows)
        self.assertEqual(self.dump_rows(alone), rows)
        self.assertEqual(self.read(one), b"old one")
        now = self.describe(t)[0]
        self.assertEqual(sorted(n for n in now if b"app.db-" not in n), sorted(old))
        for n in old:
            if b"app.db" not in n and n != b".":  # a reader has just made and removed files there
                self.assertEqual(now[n], old[n], n)
        self.clean()
        self.traced("renameat2:error=EINVAL", "undo", "--yes")
        self.assertEqual(self.dump_rows(db), changed)
        self.assertEqual(self.read(one), b"new one")
        self.assertEqual(self.read(alone), broken)
        self.assertTrue(os.path.isdir(t + "/plain/is/now"))
        self.assertFalse(os.path.exists(t + "/d"))
        self.clean()

    def test_kinds_that_change_places(self):
        for rule in (None, "renameat2:error=EINVAL"):
            for was, now in (("file", "dir"), ("dir", "file"), ("dir", "link"), ("link", "dir"), ("file", "link"),
                             ("link", "file"), ("fifo", "file"), ("file", "gone"), ("dir", "gone")):
                with self.subTest(was=was, now=now, rule=rule):
                    x = self.path("x")

                    def make(kind):
                        if os.path.isdir(x) and not os.path.islink(x):
                            shutil.rmtree(x)
                        elif os.path.lexists(x):
                            os.unlink(x)
                        if kind == "file":
                            self.write("x", b"file")
                        elif kind == "dir":
                            self.write("x/a/b", b"in dir")
                        elif kind == "link":
                            os.symlink("victim", x)
                        elif kind == "fifo":
                            os.mkfifo(x)
                        return self.describe(x) if kind != "gone" else None
                    self.write("victim/canary", b"c")
                    old = make(was)
                    snap = self.backup(x)
                    new = make(now)
                    run = (lambda *a: self.traced(rule, *a)) if rule else self.snap
                    run("restore", snap, "--yes")
                    self.same_tree(self.describe(x), old)
                    run("undo", "--yes")
                    if new:
                        self.same_tree(self.describe(x), new)
                    else:
                        self.assertFalse(os.path.lexists(x))
                    self.assertEqual(os.listdir(self.path("victim")), ["canary"])
                    self.clean()

    def test_database_in_use_in_a_tree(self):
        t = self.path("t")
        db = self.database("t/sub/app.db", rows=200)
        self.write("t/doc", b"old")
        self.write("t/keep", b"keep")
        self.snap("backup", t)
        rows = self.dump_rows(db)
        self.change(db)
        self.write("t/doc", b"new")
        self.write("t/extra", b"extra")
        new = self.dump_rows(db)
        user = sqlite3.connect(db)
        user.execute("select count(*) from a").fetchone()
        inode = os.stat(db).st_ino
        s = self.summary("restore", "latest", "--yes")
        self.assertIn("file by file", s["items"][0]["action"])
        self.assertIn("in use", s["items"][0]["note"])
        self.assertEqual(user.execute("select count(*) from a where t = 'changed'").fetchone()[0], 0)
        self.assertEqual(os.stat(db).st_ino, inode)
        self.assertEqual((self.dump_rows(db), self.read(t + "/doc"), os.path.exists(t + "/extra")), (rows, b"old", False))
        self.snap("undo", "--yes")
        self.assertGreater(user.execute("select count(*) from a where t = 'changed'").fetchone()[0], 0)
        user.close()
        self.assertEqual((self.dump_rows(db), self.read(t + "/doc"), self.read(t + "/extra")), (new, b"new", b"extra"))
        self.clean()

    def test_locked_database_in_a_tree_is_refused(self):
        db = self.database("t/app.db", rows=50, wal=False)
        self.write("t/doc", b"old")
        self.snap("backup", self.path("t"))
        self.write("t/doc", b"new")
        self.hold(HOLDER, db, "exclusive")
        before = self.describe(self.path("t"))
        self.fails(14, "target-in-use", "restore", "latest", "--yes")
        self.same_tree(self.describe(self.path("t")), before)
        self.clean()

    def test_open_and_mapped_files_are_named(self):
        self.write("t/index", b"v" * 8192)
        self.snap("backup", self.path("t"))
        p = self.hold("import mmap, os, sys\nf = open(sys.argv[1], 'rb')\nm = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)\n"
                      "f.close()\nprint('ready', flush=True)\nsys.stdin.read()", self.path("t/index"))
        r = self.snap("restore", "latest", "--yes")
        self.assertIn("t/index is open in python3", r.err)
        self.assertIn(str(p.pid), r.err)

    def test_mount_below(self):
        if os.geteuid() != 0 or not harness.namespaces_work():
            self.fail("needs root and unshare to make a mount")
        self.write("t/a", b"a")
        os.mkdir(self.path("t/data"))
        one = self.write("one", b"old")
        self.snap("backup", self.path("t"), one)
        script = ('mount -t tmpfs none "$1" && echo live > "$1/b" && "$0" --json restore latest --source "$3" --yes; r=$?; '
                  'cat "$1/b"; mount --bind "$2" "$2"; "$0" --json restore latest --source "$2" --yes; echo $r $?')
        p = subprocess.run(["unshare", "-m", "sh", "-c", script, harness.SNAP, self.path("t/data"), one, self.path("t")],
                           env=self.env, capture_output=True, timeout=60, text=True)
        self.assertTrue(p.stdout.endswith("14 14\n"), p)
        self.assertIn("\nlive\n", p.stdout)
        self.assertIn("is a mount point", p.stdout)
        self.clean()


class Parts(Deep):
    def test_hard_link_with_its_first_name_outside(self):
        self.write("t/a/first", b"shared data")
        os.makedirs(self.path("t/b/c"))
        os.link(self.path("t/a/first"), self.path("t/b/second"))
        os.link(self.path("t/a/first"), self.path("t/b/c/third"))
        self.write("t/b/z", b"z")
        old = self.describe(self.path("t/b"))
        self.snap("backup", self.path("t"))
        shutil.rmtree(self.path("t/b"))
        self.snap("restore", "latest", "--include", self.path("t/b"), "--yes")
        self.same_tree(self.describe(self.path("t/b")), old)
        out = self.path("out")
        self.snap("restore", "latest", "--include", self.path("t/b/c/third"), "--target", out)
        self.assertEqual(self.read(out + self.path("t/b/c/third")), b"shared data")

    def test_includes(self):
        """A file, a directory, a database out of a tree, named twice and inside one another."""
        t = self.path("t")
        db = self.database("t/x/app.db", rows=100)
        self.write("t/x/y/file", b"old")
        self.write("t/other", b"old")
        rows = self.dump_rows(db)
        self.snap("backup", t)
        self.change(db)
        changed = self.dump_rows(db)
        self.write("t/x/y/file", b"new")
        self.write("t/other", b"new")
        args = ["--include", t + "/x/y/file", "--include", t + "/x/y", "--include", t + "/x/app.db", "--include", t + "/x/y"]
        s = self.summary("restore", "latest", *args, "--yes")
        self.assertEqual(len(s["items"]), 2)
        self.assertEqual((self.dump_rows(db), self.read(t + "/x/y/file"), self.read(t + "/other")), (rows, b"old", b"new"))
        self.snap("undo", "--yes")
        self.assertEqual((self.dump_rows(db), self.read(t + "/x/y/file"), self.read(t + "/other")), (changed, b"new", b"new"))
        self.snap("restore", "latest", *args, "--target", self.path("out"))
        self.assertEqual(self.dump_rows(self.path("out") + db), rows)
        self.assertEqual(self.read(self.path("out") + t + "/x/y/file"), b"old")
        self.clean()

    def test_sources_inside_one_another(self):
        t = self.path("t")
        db = self.database("t/sub/app.db", rows=100)
        self.write("t/a", b"old")
        self.write("t/sub/note", b"old")
        rows = self.dump_rows(db)
        self.config(f"[source tree]\ntype = files\npath = {t}\nexclude = *.db\n[source db]\ntype = sqlite\npath = {db}\n"
                    "[set all]\nsources = db tree\n")
        conf = ["-c", self.path("snap.conf")]
        self.snap(*conf, "backup", "--set", "all")
        self.change(db)
        changed = self.dump_rows(db)
        self.write("t/a", b"new")
        s = self.summary(*conf, "restore", "latest", "--yes")
        self.assertEqual({i["source"] for i in s["items"]}, {"tree", "db"})
        self.assertTrue(all(i["facts_match"] and i["state"] == "restored" for i in s["items"]), s)
        self.assertEqual((self.dump_rows(db), self.read(t + "/a"), self.read(t + "/sub/note")), (rows, b"old", b"old"))
        self.snap("undo", "--yes")
        self.assertEqual((self.dump_rows(db), self.read(t + "/a")), (changed, b"new"))
        user = sqlite3.connect(db)
        user.execute("select count(*) from a").fetchone()
        self.snap(*conf, "restore", "latest@all", "--yes")
        self.assertEqual(user.execute("select count(*) from a where t = 'changed'").fetchone()[0], 0)
        user.close()
        self.assertEqual(self.read(t + "/a"), b"old")
        self.snap("restore", "latest@all", "--target", self.path("out"))
        self.assertEqual(self.dump_rows(self.path("out") + db), rows)
        self.assertEqual(self.read(self.path("out") + t + "/a"), b"old")
        self.clean()

    def test_dry_run_changes_nothing(self):
        t, db, one = self.rich_tree(), self.database(rows=50), self.write("one", b"old")
        self.snap("backup", t, db, one)
        self.change(db)
        self.write("one", b"new")
        tree, repo = self.describe(self.dir), self.repo_state()
        s = self.summary("restore", "latest", "--dry-run")
        self.assertEqual(len(s["items"]), 3)
        self.snap("restore", "latest", "--dry-run", "--target", self.path("not/there"))
        self.fails(1, "nothing-to-do", "undo", "--dry-run")
        now = self.describe(self.dir)
        for found in (tree[0], now[0]):
            for n in [n for n in found if n in (b".", b"trace") or n.startswith((b"cache", b"repo")) or b"app.db-" in n]:
                del found[n]
        self.same_tree(now, tree)
        self.assertEqual(self.repo_state(), repo)


class Elsewhere(Deep):
    def test_no_space(self):
        if os.geteuid() != 0 or not harness.namespaces_work():
            self.fail("needs root and unshare to make a small file system")
        os.mkdir(self.path("small"))
        self.write("data", os.urandom(3 << 20))
        self.snap("backup", self.path("data"))
        script = ('mount -t tmpfs -o size=2m none "$1" && "$0" --json restore latest --target "$1/out"; r=$?; ls -A "$1"; '
                  '"$0" --json restore latest --target "$1"; echo $r $?; ls -A "$1"')
        p = subprocess.run(["unshare", "-m", "sh", "-c", script, harness.SNAP, self.path("small")], env=self.env,
                           capture_output=True, timeout=60, text=True)
        self.assertTrue(p.stdout.endswith("15 15\n"), p)
        self.assertEqual(p.stdout.count('"no-space"'), 2, p)

    def test_onto_a_mounted_file_system(self):
        if os.geteuid() != 0 or not harness.namespaces_work():
            self.fail("needs root and unshare to make a mount")
        os.mkdir(self.path("disk"))
        one = self.write("one", b"one")
        self.snap("backup", one)
        script = ('mount -t tmpfs -o size=2m none "$1" && mkdir "$1/lost+found" && "$0" -q restore latest --target "$1"; r=$?; '
                  'cat "$1$2"; echo; ls -A "$1"; echo $r')
        p = subprocess.run(["unshare", "-m", "sh", "-c", script, harness.SNAP, self.path("disk"), one], env=self.env,
                           capture_output=True, timeout=60, text=True)
        first = one.split("/")[1]
        self.assertEqual(p.stdout.split("\n"), ["one", *sorted(["lost+found", first]), "0", ""], p)

    def test_empty_directory_keeps_its_own(self):
        one = self.write("one", b"one")
        self.snap("backup", one)
        out = self.path("out")
        os.mkdir(out, 0o751)
        before = os.stat(out)
        self.snap("restore", "latest", "--target", out)
        after = os.stat(out)
        self.assertEqual((before.st_ino, before.st_mode), (after.st_ino, after.st_mode))
        self.assertEqual(self.read(out + one), b"one")
        self.assertEqual(os.listdir(out), [one.split("/")[1]])


class Databases(Deep):
    def test_owner_and_rollback_under_users(self):
        for wal in (True, False):
            with self.subTest(wal=wal):
                db = self.database(f"own{wal}/app.db", rows=300, wal=wal)
                if os.geteuid() == 0:
                    os.chmod(self.dir, 0o755)
                    os.chown(os.path.dirname(db), 4321, 4321)
                    os.chown(db, 4321, 4321)
                rows = self.dump_rows(db)
                snap = self.backup(db)
                self.change(db)
                reader = sqlite3.connect(db)
                reader.execute("begin")
                before = reader.execute("select count(*) from a where t = 'changed'").fetchone()[0]
                if wal:
                    self.snap("restore", snap, "--yes")
                    self.assertEqual(reader.execute("select count(*) from a where t = 'changed'").fetchone()[0], before,
                                     "a reader keeps its view")
                reader.rollback()
                self.snap("restore", snap, "--yes")
                self.assertEqual(reader.execute("select count(*) from a where t = 'changed'").fetchone()[0], 0)
                reader.close()
                self.assertEqual(self.dump_rows(db), rows)
                if os.geteuid() == 0:
                    self.assertEqual(os.stat(db).st_uid, 4321)

    def test_another_page_size(self):
        db = self.database(rows=200, page_size=4096, wal=False)
        rows = self.dump_rows(db)
        self.snap("backup", db)
        os.unlink(db)
        self.database(rows=100, page_size=1024, wal=False, seed=5)
        self.snap("restore", "latest", "--yes")
        self.assertEqual(self.dump_rows(db), rows)

    def test_directory_in_its_place(self):
        db = self.database(rows=20)
        self.snap("backup", db)
        os.unlink(db)
        self.write("app.db/mine", b"mine")
        r = self.run_snap("--json", "restore", "latest", "--yes")
        self.assertEqual(r.code, 14, str(r))
        self.assertIn("is a directory", r.last()["message"])
        self.assertEqual(os.listdir(db), ["mine"])

    def test_link_in_its_place(self):
        db = self.database(rows=100)
        rows = self.dump_rows(db)
        self.snap("backup", db)
        os.mkdir(self.path("moved"))
        os.rename(db, self.path("moved/app.db"))
        os.symlink("moved/app.db", db)
        self.change(db)
        self.snap("restore", "latest", "--yes")
        self.assertTrue(os.path.islink(db))
        self.assertEqual(self.dump_rows(db), rows)

    def test_live_writer_in_rollback_mode(self):
        db = self.database(rows=100, wal=False)
        self.snap("backup", db)
        self.hold(WRITER.replace("n += 1", "n += 1; time.sleep(0.01)"), db)
        self.snap("restore", "latest", "--yes")
        time.sleep(0.1)
        self.check_invariant(db)


class Aside(Deep):
    def state(self):
        return self.dump_rows(self.db), self.describe(self.tree), self.read(self.one), os.path.exists(self.path("made"))

    def setUp(self):
        super().setUp()
        self.db = self.database("data/app.db", rows=200)
        self.tree = self.rich_tree("data/t")
        self.one = self.write("data/one", b"old")
        made = self.write("made", b"made")
        self.first = self.backup(self.db, self.tree, self.one, made)
        self.old = self.state()
        os.unlink(made)
        self.change(self.db)
        self.write("data/t/plain", b"changed")
        self.write("data/one", b"new")
        self.new = self.state()
        self.args = ["restore", self.first, "--forensic", "aside", "--yes"]

    def test_round_trip(self):
        s = self.summary(*self.args)
        self.assertIsNone(s["forensic_id"])
        self.assertEqual(self.state(), self.old)
        kept = self.one + ".snap-replaced-" + s["run_id"][:8]
        self.assertEqual(self.read(kept), b"new")
        self.assertEqual(self.dump_rows(self.db + ".snap-replaced-" + s["run_id"][:8]), self.new[0])
        self.snap("undo", "--yes")
        self.assertEqual(self.state(), self.new)
        self.assertFalse(os.path.exists(kept))
        self.snap("undo", "--yes")
        self.assertEqual(self.state(), self.old)
        self.snap("undo", "--yes")
        self.assertEqual(self.state(), self.new)
        self.assertEqual([n for n in os.listdir(self.path("data")) if n.startswith(".snap-")], [])

    def test_in_use_is_refused(self):
        user = sqlite3.connect(self.db)
        user.execute("select count(*) from a").fetchone()
        self.fails(14, "target-in-use", *self.args)
        user.close()
        self.assertEqual(self.state(), self.new)

    def test_originals_that_are_gone(self):
        s = self.summary(*self.args)
        os.unlink(self.one + ".snap-replaced-" + s["run_id"][:8])
        r = self.run_snap("undo", "--yes")
        self.assertEqual(r.code, 1, str(r))
        self.assertIn("snap-replaced", r.err)
        self.assertEqual(self.state(), self.old)

    def test_without_exchange(self):
        self.traced("renameat2:error=EINVAL", *self.args)
        self.assertEqual(self.state(), self.old)
        self.traced("renameat2:error=EINVAL", "undo", "--yes")
        self.assertEqual(self.state(), self.new)

    def test_killed(self):
        """At the renames of the swap: resume, or undo, ends it; the originals are never lost."""
        for i in range(1, 40, 1 if harness.LONG else 3):
            with self.subTest(i=i):
                r = self.traced(f"renameat2:signal=KILL:when={i}", *self.args, code=None)
                if "was cut off" not in self.snap("list").err:
                    if r.code == 0:
                        self.assertEqual(self.state(), self.old)
                        self.snap("undo", "--yes")
                        break
                elif i % 2:
                    self.snap("restore", "--resume")
                    self.assertEqual(self.state(), self.old)
                    self.snap("undo", "--yes")
                else:
                    self.snap("undo", "--yes")
                self.assertEqual(self.state(), self.new, i)
                self.assertNotIn("was cut off", self.snap("list").err)
                for n in os.listdir(self.path("data")):
                    if "snap-replaced" in n:
                        p = self.path("data", n)
                        shutil.rmtree(p) if os.path.isdir(p) else os.unlink(p)


class Undo(Deep):
    def test_by_run_and_after_changes(self):
        one, gone = self.write("one", b"1"), self.write("made/by", b"restore")
        snap = self.backup(one, self.path("made"))
        shutil.rmtree(self.path("made"))
        self.write("one", b"2")
        a = self.summary("restore", snap, "--yes")
        self.write("one", b"3")
        b = self.summary("restore", snap, "--yes")
        self.write("one", b"4")
        self.snap("undo", b["run_id"], "--yes")
        self.assertEqual(self.read(one), b"3")
        u = self.summary("undo", a["run_id"], "--yes")
        self.assertEqual((self.read(one), os.path.exists(gone)), (b"2", False))
        self.snap("undo", u["run_id"], "--yes")
        self.assertEqual((self.read(one), os.path.exists(gone)), (b"3", True))
        self.fails(1, "unknown-id", "undo", "ffffffffffffffff", "--yes")
        self.clean()

    def test_parents_that_a_restore_made(self):
        self.write("p/q/file", b"x")
        self.snap("backup", self.path("p/q/file"))
        shutil.rmtree(self.path("p"))
        self.snap("restore", "latest", "--yes")
        self.assertEqual(self.read(self.path("p/q/file")), b"x")
        self.snap("undo", "--yes")
        self.assertFalse(os.path.exists(self.path("p/q/file")))
        self.clean()

    def test_other_repositories_places_are_left(self):
        one = self.write("one", b"old")
        self.snap("backup", one)
        self.write(".snap-restore-0123456789abcdef-0/intent", b"repository 00\nof someone else\n")
        self.write(".snap-restore-0123456789abcdef-0/new", b"theirs")
        self.write("one", b"new")
        self.snap("restore", "latest", "--yes")
        self.assertEqual(self.read(self.path(".snap-restore-0123456789abcdef-0/new")), b"theirs")


class Failing(Deep):
    """A step that fails: everything is put back, and said."""

    def setUp(self):
        super().setUp()
        self.db = self.database("live/a.db", rows=200)
        self.broken = self.database("live/b.db", rows=200)
        self.tree = self.rich_tree("live/t")
        self.one = self.write("live/z", b"old")
        gone = self.write("live/y", b"gone")
        self.first = self.backup(self.db, self.broken, self.tree, self.one, gone)
        self.old = self.state()
        self.change(self.db)
        os.unlink(gone)
        with open(self.broken, "r+b") as f:
            f.write(b"\xdd" * 8192)
        self.write("live/t/plain", b"changed")
        self.write("live/z", b"new")
        self.new = self.state()

    def state(self):
        return (self.dump_rows(self.db), self.read(self.broken), self.describe(self.tree), self.read(self.one),
                os.path.exists(self.path("live/y")))

    def parts_are(self, *states):
        now = self.state()
        for i, what in enumerate(now):
            if i == 1:  # restored: any image of the same rows
                self.assertTrue(what in [s[1] for s in states] or self.dump_rows(self.broken) == self.old[0])
            else:
                self.assertIn(what, [s[i] for s in states], i)

    def test_errors(self):
        step = 1 if harness.LONG else 3
        until = time.monotonic() + (1e9 if harness.LONG else 12)
        for call in ("renameat2", "fsync", "syncfs", "linkat"):
            for n in range(1, 60, step):
                if time.monotonic() > until:
                    break
                with self.subTest(call=call, n=n):
                    r = self.traced(f"{call}:error=EIO:when={n}", "restore", self.first, "--yes", code=None)
                    if r.code == 0:
                        self.parts_are(self.old)
                        self.snap("undo", "--yes")
                        self.assertEqual(self.state(), self.new)
                        with open(self.path("trace")) as f:
                            if "INJECTED" not in f.read():
                                break
                        continue
                    self.assertIn("snap: ", r.err)
                    if "the data are restored, but" in r.err:
                        self.parts_are(self.old)
                        self.snap("undo", "--yes")
                    elif "was cut off" in self.snap("list").err:
                        self.parts_are(self.old, self.new)
                        self.assertRegex(r.err, "resume|undo")
                        self.snap("undo", "--yes")
                    self.assertEqual(self.state(), self.new, r)
                    self.clean()

    def test_says_that_it_was_put_back(self):
        for n in range(1, 40):
            r = self.traced(f"renameat2:error=EIO:when={n}", "restore", self.first, "--yes", code=None)
            self.assertEqual(self.state(), self.new) if r.code else self.fail("no step failed that was put back")
            if "everything was put back" in r.err:
                break
        log = self.query("log")
        self.assertEqual([x["state"] for x in log if x["verb"] == "restore"][0], "failed", log)
        self.clean()
