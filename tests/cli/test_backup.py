"""Taking snapshots: what is stored, what is said about it, and what is said when something could not be."""
import os
import shutil
import sqlite3
import subprocess

import harness
from harness import Case

SUMMARY_KEYS = {"message_type", "snapshot_id", "set", "sequence", "duration_s", "bytes_read", "bytes_source", "bytes_added",
                "chunks_new", "chunks_delta", "items"}
LIST_KEYS = {"id", "short_id", "sequence", "time", "set", "kind", "host", "tags", "holds", "state", "bytes", "bytes_added",
             "sources", "verified_at"}


def tree_bytes(path):
    return sum(os.lstat(os.path.join(d, n)).st_size for d, _, names in os.walk(path) for n in names)


class Backup(Case):
    def test_kinds_are_told_apart(self):
        db = self.database(rows=100)
        self.write("tree/a", b"a")
        one = self.write("one.bin", b"\x00" * 100)
        s = self.summary("backup", db, self.path("tree"), one)
        self.assertLessEqual(SUMMARY_KEYS, set(s))
        self.assertEqual({i["source"]: i["type"] for i in s["items"]},
                         {db: "sqlite", self.path("tree"): "files", one: "file"})
        for item in s["items"]:
            self.assertLessEqual({"source", "type", "entries", "bytes", "consistency", "facts"}, set(item))
            self.assertEqual(item["consistency"], "exact")

    def test_facts_of_a_database(self):
        db = self.database(rows=123, page_size=8192)
        sqlite3.connect(db).execute("pragma user_version=42").connection.commit()
        facts = self.summary("backup", db)["items"][0]["facts"]
        self.assertEqual(facts["rows.a"], 123)
        self.assertEqual(facts["rows.b"], 123)
        self.assertEqual(facts["page_size"], 8192)
        self.assertEqual(facts["user_version"], 42)
        self.assertEqual(facts["quick_check"], "ok")
        self.assertEqual(self.query("show", "latest")["items"][0]["facts"], facts)
        again = self.summary("backup", db)["items"][0]["facts"]
        self.assertEqual(again, facts, "facts of an unchanged database are kept")

    def test_list_fields(self):
        self.write("data", b"x")
        self.snap("backup", self.path("data"), "--tag", "a", "--tag", "b c")
        row, = self.query("list")
        self.assertLessEqual(LIST_KEYS, set(row))
        self.assertEqual(row["tags"], ["a", "b c"])
        self.assertEqual((row["kind"], row["state"], row["holds"]), ("backup", "good", []))
        self.assertEqual(row["set"], self.path("data"))
        self.assertTrue(row["id"].startswith(row["short_id"]))
        self.assertIsNone(row["verified_at"])
        self.assertEqual(self.query("snapshots"), [row])

    def test_bytes_added_is_what_the_repository_grew_by(self):
        self.vectors("v.bin", rows=2000)
        before = tree_bytes(self.repo)
        s = self.summary("backup", self.path("v.bin"))
        self.assertEqual(s["bytes_added"], tree_bytes(self.repo) - before)
        before = tree_bytes(self.repo)
        s = self.summary("backup", self.path("v.bin"))
        self.assertEqual(s["bytes_added"], tree_bytes(self.repo) - before)
        self.assertEqual(s["chunks_new"], 0)

    def test_a_small_change_costs_little(self):
        db = self.database(rows=20000)
        first = self.summary("backup", db)
        self.change(db, "update a set t = 'x' where id = 77")
        second = self.summary("backup", db)
        self.assertLess(second["bytes_added"], first["bytes_added"] / 50)
        self.assertGreater(second["chunks_delta"], 0)

    def test_text_summary(self):
        self.write("data", b"x")
        r = self.snap("backup", self.path("data"))
        self.assertRegex(r.out, r"^snapshot [0-9a-f]{8} of set ")
        self.assertEqual(r.err, "", "no progress without a terminal")
        self.assertEqual(self.snap("-q", "backup", self.path("data")).out, "")

    def on_a_terminal(self, *args, **env):
        """What a terminal on standard error is sent."""
        import pty
        ours, theirs = pty.openpty()
        p = subprocess.Popen([harness.SNAP, *args], env=self.environment(dict({"TERM": "xterm"}, **env)), cwd=self.dir,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        os.close(ours)
        p.communicate()
        self.assertEqual(p.returncode, 0, seen)
        return seen

    def test_progress_on_a_terminal(self):
        self.write("big", os.urandom(96 << 20))
        seen = self.on_a_terminal("backup", self.path("big"))
        lines = seen.split(b"\r")
        self.assertTrue(any(b"MiB" in x for x in lines), seen)
        self.assertTrue(seen.endswith(b"\r\x1b[K"), "the line is taken away at the end")
        for x in lines:
            self.assertLess(len(x), 90, "it fits the terminal")
        self.assertTrue(any(b"% " in x for x in lines), b"what share is done: " + seen)
        for args, env in ((["--no-progress"], {}), (["-q"], {}), (["--json"], {}), ([], {"TERM": "dumb"})):
            self.assertEqual(self.on_a_terminal("backup", "--force-read", self.path("big"), *args, **env), b"")

    def test_paths_are_made_absolute_and_single(self):
        self.write("d/data", b"x")
        s = self.summary("backup", "d/../d/data", "./d//data", self.path("d/data"))
        self.assertEqual([i["source"] for i in s["items"]], [self.path("d/data")])

    def test_sets_of_paths(self):
        a, b = self.write("a", b"a"), self.write("b", b"b")
        for args in ([a], [b], [a, b], [b, a], [a]):
            self.snap("backup", *args)
        self.assertEqual([r["set"] for r in self.query("list")], [a, b, f"{a}:{b}", f"{a}:{b}", a])
        self.assertEqual(len(self.query("list", "--set", a)), 2)

    def test_missing_path(self):
        a = self.write("a", b"a")
        r = self.snap("--json", "backup", a, self.path("absent"), code=3)
        warnings = [x for x in r.lines() if x["message_type"] == "warning"]
        self.assertEqual([w["name"] for w in warnings], ["source-missing"])
        self.assertIn("absent", warnings[0]["message"])
        self.assertEqual(r.last()["message_type"], "summary")
        self.assertEqual(r.last()["state"], "partial")
        row, = self.query("list")
        self.assertEqual(row["state"], "partial")
        for args in (["show", "latest"], ["restore", "latest"], ["verify", f"latest@{row['set']}"]):
            self.assertIn(row["id"][:8], self.fails(1, "unknown-id", *args).last()["hint"])
        self.snap("restore", row["id"], "--target", self.path("out"))
        self.assertEqual(self.read(self.path("out") + a), b"a")

    def test_nothing_stored(self):
        self.fails(1, "nothing-stored", "backup", self.path("absent"))
        self.fails(1, "nothing-stored", "backup", self.path("absent"), self.path("gone"))
        self.assertEqual(self.ids(), [])

    def test_empty_directory_and_empty_file(self):
        os.mkdir(self.path("empty"))
        self.write("none", b"")
        self.snap("backup", self.path("empty"), self.path("none"))
        self.snap("restore", "latest", "--target", self.path("out"))
        self.assertEqual(os.listdir(self.path("out") + self.path("empty")), [])
        self.assertEqual(self.read(self.path("out") + self.path("none")), b"")

    def test_dry_run_stores_nothing(self):
        self.write("data", b"x" * 10000)
        before = self.repo_state()
        s = self.summary("backup", self.path("data"), "--dry-run")
        self.assertIsNone(s["snapshot_id"])
        self.assertEqual(self.repo_state(), before)
        self.assertEqual(self.ids(), [])

    def test_time(self):
        self.write("data", b"x")
        self.snap("backup", self.path("data"), "--time", "2024-12-29T10:30:00Z")
        self.snap("backup", self.path("data"), "--time", "2025-01-01T12:00:00+02:00")
        self.assertEqual([r["time"] for r in self.query("list")], ["2024-12-29T10:30:00Z", "2025-01-01T10:00:00Z"])

    def test_force_read(self):
        path = self.write("data", b"x" * 100000)
        st = os.stat(path)
        self.snap("backup", path)
        self.assertEqual(self.summary("backup", path, "--force-read")["bytes_read"], 100000)
        self.assertEqual(os.stat(path).st_mtime_ns, st.st_mtime_ns)

    def test_exclude(self):
        for name in ("t/a.tmp", "t/keep", "t/sub/b.tmp", "t/skip/deep/file"):
            self.write(name, b"x")
        self.snap("backup", self.path("t"), "-e", "*.tmp", "--exclude", "skip")
        names = [e["path"] for e in self.query("ls", "latest")]
        self.assertEqual(names, [self.path(n) for n in ("t", "t/keep", "t/sub")])

    def test_permission_denied(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become someone else")
        self.write("t/open", b"x")
        self.write("t/closed", b"x", 0)
        for d, _, names in os.walk(self.dir):
            for n in [""] + names:
                os.chown(os.path.join(d, n), 65534, 65534)
        as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        r = self.snap("--json", "backup", self.path("t"), code=3, prefix=as_nobody)
        self.assertIn("source-unreadable", [x.get("name") for x in r.lines()])
        self.assertEqual([e["path"] for e in self.snap("--json", "ls", self.snap("--json", "list", prefix=as_nobody).doc()
                                                       [0]["id"], prefix=as_nobody).doc()
                          if e["type"] == "file" and e["consistency"] == "exact"], [self.path("t/open")])

    def test_special_files_do_not_hang(self):
        os.mkdir(self.path("t"))
        os.mkfifo(self.path("t/fifo"))
        os.symlink("/nowhere", self.path("t/dangling"))
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.path("t/sock"))
            self.snap("backup", self.path("t"), timeout=60)
        types = {os.path.basename(e["path"]): e["type"] for e in self.query("ls", "latest")}
        self.assertEqual(types["fifo"], "fifo")
        self.assertEqual(types["dangling"], "symlink")

    def test_symlink_named_is_not_followed(self):
        self.write("real/data", b"x")
        os.symlink("real", self.path("link"))
        self.snap("backup", self.path("link"))
        self.assertEqual([e["type"] for e in self.query("ls", "latest")], ["symlink"])
        self.snap("backup", self.path("link/data"))
        self.assertEqual(self.query("list")[1]["sources"], [self.path("real/data")])

    def test_raw_database(self):
        db = self.database(rows=2000)
        with open(db, "r+b") as f:
            f.seek(4096 * 3)
            f.write(os.urandom(4096 * 4))
        r = self.snap("--json", "backup", db, code=3)
        self.assertEqual(r.last()["state"], "partial")
        self.assertEqual(self.query("list")[0]["state"], "partial")
        self.snap("restore", self.ids()[0], "--target", self.path("out"))

    def test_not_a_database_with_the_magic(self):
        path = self.write("fake.db", b"SQLite format 3\0" + os.urandom(9000))
        self.snap("backup", path, code=3)
        self.snap("restore", self.ids()[0], "--target", self.path("out"))
        self.assertEqual(self.read(self.path("out") + path), self.read(path))

    def test_empty_database(self):
        path = self.write("zero.db", b"")
        sqlite3.connect(self.path("made.db")).execute("vacuum").connection.close()
        self.snap("backup", path, self.path("made.db"))

    def test_database_in_a_tree(self):
        db = self.database("tree/sub/app.db", rows=300)
        live = sqlite3.connect(db)
        live.execute("pragma wal_autocheckpoint=0")
        live.execute("insert into a(v, t) values(5, 'in the wal')")
        live.execute("insert into b(v) values(-5)")
        live.commit()
        self.assertTrue(os.path.exists(db + "-wal"))
        self.snap("backup", self.path("tree"))
        entries = {e["path"]: e["type"] for e in self.query("ls", "latest")}
        self.assertEqual(entries[db], "sqlite")
        self.assertNotIn(db + "-wal", entries)
        live.close()
        self.snap("restore", "latest", "--target", self.path("out"))
        self.check_invariant(self.path("out") + db)
        rows = sqlite3.connect(self.path("out") + db).execute("select count(*) from a where t = 'in the wal'").fetchone()
        self.assertEqual(rows, (1,))

    def test_hold_name(self):
        self.write("data", b"x")
        one = self.backup(self.path("data"), "--hold", "v1_baseline")
        self.assertEqual(self.query("list")[0]["holds"], ["v1_baseline"])
        self.assertEqual(self.query("show", "v1_baseline")["id"], one)
        self.fails(1, "name-taken", "backup", self.path("data"), "--hold", "v1_baseline")
        self.fails(2, "usage", "backup", self.path("data"), "--hold", "latest")

    def test_interrupted(self):
        for i in range(3):
            self.write(f"t/{i}", os.urandom(24 << 20))
        p = self.start_snap("backup", self.path("t"))
        import signal
        import time
        time.sleep(0.15)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        if p.returncode == 0:
            self.assertIn(b"snapshot", out)  # it was faster
        else:
            self.assertEqual(p.returncode, 130, err)
            self.assertEqual(self.ids(), [])
        self.snap("backup", self.path("t"))
        self.snap("verify", "--read-data")

    def test_checkpoint_option(self):
        db = self.database(rows=100)
        for mode in ("passive", "truncate", "none"):
            live = sqlite3.connect(db)
            live.execute("pragma wal_autocheckpoint=0")
            live.execute("update a set t = ?", (mode,))
            live.commit()
            conf = self.config(f"[source db]\ntype = sqlite\npath = @/app.db\ncheckpoint = {mode}\n")
            before = os.stat(db + "-wal").st_size
            self.assertGreater(before, 0)
            self.snap("backup", env={"SNAP_CONFIG": conf})
            self.assertEqual(os.stat(db + "-wal").st_size, 0 if mode == "truncate" else before)
            live.close()


class SharedStore(Case):
    def test_the_same_data_twice_is_stored_once(self):
        self.write("a", os.urandom(3 << 20))
        first = self.summary("backup", self.path("a"))
        shutil.copy(self.path("a"), self.path("b"))
        second = self.summary("backup", self.path("b"))
        self.assertGreater(first["bytes_added"], 3 << 20)
        self.assertLess(second["bytes_added"], 64 << 10)

    def test_sparse_file(self):
        path = self.path("sparse")
        with open(path, "wb") as f:
            f.write(b"begin")
            f.seek(4 << 30)
            f.write(b"end")
        s = self.summary("backup", path)
        self.assertLess(s["bytes_added"], 100 << 10)
        self.snap("restore", "latest", "--target", self.path("out"))
        out = self.path("out") + path
        self.assertEqual(os.stat(out).st_size, (4 << 30) + 3)
        self.assertLess(os.stat(out).st_blocks * 512, 1 << 20)
        subprocess.run(["cmp", path, out], check=True)

    def test_memory_is_bounded(self):
        if harness.SANITIZED:
            return  # a sanitizer's shadow memory is not the program's
        self.write("big", os.urandom(64 << 20))
        log = self.path("time")
        self.snap("backup", self.path("big"), prefix=("/usr/bin/env", "python3", "-c", "import os,sys,resource\n"
                  "pid=os.fork()\nif pid==0: os.execv(sys.argv[2], sys.argv[2:])\n_,st,ru=os.wait4(pid,0)\n"
                  "open(sys.argv[1],'w').write(str(ru.ru_maxrss))\nsys.exit(os.waitstatus_to_exitcode(st))", log))
        self.assertLess(int(self.read(log)), 96 << 10)
