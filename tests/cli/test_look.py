"""Finding snapshots and looking inside them: list, show, ls, find, dump, diff, holds, trash, log."""
import os
import re
import sqlite3

from harness import Case


class Three(Case):
    """Three snapshots of one tree, and one of another set."""

    def setUp(self):
        super().setUp()
        self.tree = self.path("tree")
        self.write("tree/same", b"same" * 100)
        self.write("tree/changed", b"one")
        self.write("tree/gone", b"gone")
        self.write("tree/mode", b"m", 0o644)
        self.write("tree/kind", b"file")
        self.a = self.backup(self.tree, "--tag", "first")
        self.write("tree/changed", b"two, longer")
        self.write("tree/new/deep", b"new")
        os.unlink(self.path("tree/gone"))
        os.chmod(self.path("tree/mode"), 0o600)
        os.unlink(self.path("tree/kind"))
        os.symlink("same", self.path("tree/kind"))
        self.b = self.backup(self.tree)
        self.c = self.backup(self.tree)
        self.d = self.backup(self.write("alone", b"alone"))


class Names(Three):
    def test_prefixes(self):
        for digits in (4, 5, 8, 32):
            self.assertEqual(self.query("show", self.a[:digits])["id"], self.a)
        self.assertEqual(self.query("show", self.a[:8].upper())["id"], self.a)
        self.fails(1, "unknown-id", "show", "0123456789abcdef0123456789abcdef")
        self.fails(1, "unknown-id", "show", "nonsense")
        r = self.run_snap("--json", "show", self.a[:3])
        self.assertIn(r.code, (1, 2), str(r))

    def test_a_prefix_of_two(self):
        """Snapshots until two share four digits: the birthday comes soon."""
        seen, same = {}, None
        for i in range(2500):
            if same:
                break
            p = self.summary("backup", self.path("alone"))["snapshot_id"][:4]
            same = p if p in seen else None
            seen[p] = i
        self.assertTrue(same, "no two ids with the same four digits")
        r = self.fails(1, "ambiguous-id", "show", same)
        self.assertIn(same, r.last()["message"])
        self.fails(1, "ambiguous-id", "forget", same)
        self.fails(1, "ambiguous-id", "restore", same, "--yes")

    def test_latest(self):
        self.assertEqual(self.query("show", "latest")["id"], self.d)
        self.assertEqual(self.query("show", "latest~1")["id"], self.c)
        self.assertEqual(self.query("show", "latest~3")["id"], self.a)
        self.fails(1, "unknown-id", "show", "latest~4")
        self.assertEqual(self.query("show", f"latest@{self.tree}")["id"], self.c)
        self.fails(1, "unknown-id", "show", "latest@other")

    def test_latest_of_nothing(self):
        self.snap("init", "--repo", self.path("empty"))
        self.fails(1, "unknown-id", "show", "latest", "--repo", self.path("empty"))


class Listing(Three):
    def test_order_and_filters(self):
        self.assertEqual(self.ids(), [self.a, self.b, self.c, self.d])
        self.assertEqual(self.ids("--last", "2"), [self.c, self.d])
        self.assertEqual(self.ids("--set", self.tree), [self.a, self.b, self.c])
        self.assertEqual(self.ids("--set", self.tree, "--last", "1"), [self.c])
        self.assertEqual(self.ids("--tag", "first"), [self.a])
        self.assertEqual(self.ids("--kind", "forensic"), [])
        self.assertEqual(len(self.ids("--kind", "backup")), 4)

    def test_table(self):
        lines = self.snap("list").out.splitlines()
        self.assertEqual(len(lines), 5)
        self.assertRegex(lines[0], "^ID +TIME +SET +KIND +STATE +SIZE +ADDED +SOURCES")
        self.assertRegex(lines[1], rf"^{self.a[:8]}  \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ  .*first")
        at = lines[0].index("STATE")
        self.assertTrue(all(line[at:].startswith("good") for line in lines[1:]), lines)

    def test_empty(self):
        self.snap("init", "--repo", self.path("empty"))
        r = self.snap("list", "--repo", self.path("empty"))
        self.assertEqual(r.out, "")
        self.assertIn("snap backup", r.err)
        self.assertEqual(self.snap("--json", "list", "--repo", self.path("empty")).doc(), [])

    def test_show(self):
        doc = self.query("show", self.a)
        self.assertEqual(doc["items"][0]["path"], self.tree)
        self.assertEqual(doc["verifications"], [])
        self.snap("verify")
        doc = self.query("show", self.a)
        self.assertEqual([v["ok"] for v in doc["verifications"]], [True])
        self.assertIsNotNone(doc["verified_at"])
        text = self.snap("show", self.a).out
        for word in (self.a, "first", self.tree, "verified"):
            self.assertIn(word, text)

    def test_log(self):
        self.snap("restore", self.a, "--yes")
        rows = self.query("log")
        restores = [r for r in rows if r["verb"] == "restore"]
        self.assertEqual(len(restores), 1)
        run = restores[0]
        self.assertEqual((run["state"], run["snapshot_id"]), ("done", self.a))
        one = self.query("log", run["run_id"][:6])
        self.assertEqual(one["run_id"], run["run_id"])
        self.assertTrue(one["steps"])
        self.assertTrue(all(s["ok"] for s in one["steps"]))
        self.assertIn("restore", self.snap("log").out)
        self.assertIn(run["run_id"], self.snap("log", run["run_id"]).out)
        self.fails(1, "unknown-id", "log", "ffff0000ffff0000")


    def test_log_of_backups_and_verifications(self):
        rows = self.query("log")
        self.assertEqual([r["verb"] for r in rows], ["backup"] * 4)
        self.assertEqual([r["snapshot_id"] for r in rows], [s["id"] for s in reversed(self.query("list"))])
        self.snap("verify", "--read-data")
        self.assertEqual(self.query("log")[0]["verb"], "verify")
        self.assertIn("no damage found", self.query("log")[0]["detail"])
        self.assertEqual([r["verb"] for r in self.query("log", "--last", "2")], ["verify", "backup"])
        one = self.query("log", self.a)
        self.assertEqual((one["verb"], one["state"], one["snapshot_id"]), ("backup", "done", self.a))
        self.assertEqual(one["run_id"], self.a[:16])
        self.assertIn("verify", self.snap("log").out)

    def test_a_backup_that_failed_is_in_the_log(self):
        self.fails(1, "nothing-stored", "backup", self.path("nowhere"))
        failed = self.query("log")[0]
        self.assertEqual((failed["verb"], failed["state"], failed["snapshot_id"]), ("backup", "failed", None))
        self.assertIn("nothing was stored", failed["detail"])


class Inside(Three):
    def names(self, *args):
        return [os.path.relpath(e["path"], self.dir) for e in self.query("ls", *args)]

    def test_ls(self):
        self.assertEqual(self.names(self.a), ["tree", "tree/changed", "tree/gone", "tree/kind", "tree/mode", "tree/same"])
        self.assertEqual(self.names(f"{self.b}:{self.tree}/new"), ["tree/new", "tree/new/deep"])
        self.assertEqual(self.names(f"latest@{self.tree}:{self.tree}/same"), ["tree/same"])
        text = self.snap("ls", self.a).out
        self.assertEqual(text.splitlines(), [self.path(n) for n in self.names(self.a)])
        line = self.snap("ls", "-l", f"{self.a}:{self.tree}/changed").out
        self.assertRegex(line, r"^-rw\S+ +\d+ +\d+ +3 \d{4}-\S+Z .*/changed\n$")
        self.assertIn(" -> same", self.snap("ls", "-l", f"{self.b}:{self.tree}/kind").out)

    def test_ls_fields(self):
        e = self.query("ls", f"{self.b}:{self.tree}/mode")[0]
        self.assertEqual((e["type"], e["mode"], e["size"], e["consistency"]), ("file", "0600", 1, "exact"))

    def test_unknown_path(self):
        r = self.fails(1, "unknown-path", "ls", f"{self.a}:/nowhere")
        self.assertEqual(len(r.out.splitlines()), 1)
        self.fails(1, "unknown-path", "dump", f"{self.a}:{self.tree}/new/deep")
        self.fails(2, "usage", "ls", f"{self.a}:relative")

    def test_dump(self):
        self.assertEqual(self.snap("dump", f"{self.a}:{self.tree}/changed").raw, b"one")
        self.assertEqual(self.snap("dump", f"latest@{self.tree}:{self.tree}/changed").raw, b"two, longer")
        out = self.path("out")
        with open(out, "wb") as f:
            self.snap("dump", f"{self.a}:{self.tree}/same", stdout=f)
        self.assertEqual(self.read(out), b"same" * 100)
        r = self.run_snap("dump", f"{self.a}:{self.tree}")
        self.assertNotEqual(r.code, 0, "a directory cannot be dumped")

    def test_dump_of_a_database(self):
        db = self.database(rows=200)
        self.snap("backup", db)
        rows = self.dump_rows(db)
        with open(self.path("copy.db"), "wb") as f:
            self.snap("dump", f"latest:{db}", stdout=f)
        self.assertEqual(self.dump_rows(self.path("copy.db")), rows)

    def test_dump_with_holes(self):
        path = self.path("holes")
        with open(path, "wb") as f:
            f.seek(1 << 20)
            f.write(b"x")
        self.snap("backup", path)
        self.assertEqual(self.snap("dump", f"latest:{path}").raw, b"\0" * (1 << 20) + b"x")

    def test_find(self):
        found = self.query("find", "changed")
        self.assertEqual([f["snapshot_id"] for f in found], [self.a, self.b, self.c])
        self.assertEqual({f["path"] for f in found}, {self.path("tree/changed")})
        self.assertEqual([f["snapshot_id"] for f in self.query("find", "go*")], [self.a])
        self.assertEqual(len(self.query("find", f"{self.tree}/**/deep")), 2)
        self.assertEqual(len(self.query("find", "changed", "--snapshot", self.b)), 1)
        self.assertEqual(self.query("find", "nothing-like-it"), [])
        self.assertIn("Nothing", self.snap("find", "nothing-like-it").err)
        self.assertEqual(self.snap("find", "gone").out, f"{self.a[:8]} {self.tree}/gone\n")

    def test_diff(self):
        doc = self.query("diff", self.a, self.b)
        changes = {os.path.relpath(c["path"], self.tree): c["change"] for c in doc["changes"]}
        changes.pop(".", None)
        self.assertEqual(changes, {"changed": "content", "gone": "removed", "new": "added", "new/deep": "added",
                                   "mode": "metadata", "kind": "type"})
        self.assertEqual(doc["totals"]["removed"], 1)
        text = self.snap("diff", self.a, self.b).out
        for mark, name in (("M", "changed"), ("-", "gone"), ("+", "new/deep"), ("U", "mode"), ("T", "kind")):
            self.assertRegex(text, rf"(?m)^{re.escape(mark)}  {self.tree}/{name}\b")
        back = self.query("diff", self.b, self.a)
        self.assertEqual(back["totals"]["added"], 1)

    def test_diff_of_equals(self):
        self.assertEqual(self.query("diff", self.b, self.c)["changes"], [])
        self.assertEqual(self.snap("diff", self.b, self.c).out, "")


class Marks(Three):
    def test_hold_and_release(self):
        self.snap("hold", "v1_baseline", self.a)
        self.snap("hold", "v1_baseline", self.a)
        self.fails(1, "name-taken", "hold", "v1_baseline", self.b)
        self.assertEqual(self.query("list")[0]["holds"], ["v1_baseline"])
        self.fails(1, "held", "forget", self.a)
        self.fails(1, "held", "forget", self.b, self.a)
        self.assertEqual(len(self.ids()), 4, "all or none")
        self.assertEqual(self.query("show", "v1_baseline")["id"], self.a)
        self.snap("release", "v1_baseline")
        self.fails(1, "unknown-id", "release", "v1_baseline")
        self.fails(1, "unknown-id", "show", "v1_baseline")
        self.snap("forget", self.a)

    def test_names_of_holds(self):
        for bad in ("latest", "latest~1", "abcd", "0123456789", ""):
            self.fails(2, "usage", "hold", bad, self.a)
        self.fails(1, "unknown-id", "hold", "fine", "nonsense")

    def test_trash(self):
        self.snap("forget", self.a, "latest")
        self.assertEqual(self.ids(), [self.b, self.c])
        self.assertEqual(self.ids("--deleted"), [self.a, self.d])
        self.assertEqual({r["state"] for r in self.query("list", "--deleted")}, {"deleted"})
        self.assertEqual(self.query("show", "latest")["id"], self.c)
        self.snap("restore", self.a, "--target", self.path("out"), "--yes")
        self.snap("undelete", self.a[:8])
        self.assertEqual(self.ids(), [self.a, self.b, self.c])
        self.fails(1, "unknown-id", "forget", "ffffffff")
        self.assertIn("empty", self.snap("list", "--deleted", "--repo", self.path("repo2"),
                                         prefix=("sh", "-c", '"$0" init --repo "$SNAP_TEST_R" >/dev/null && exec "$0" "$@"'),
                                         env={"SNAP_TEST_R": self.path("repo2")}).err)


class Inspect(Case):
    init_repo = False

    def test_sqlite(self):
        db = self.database(rows=77)
        doc, = self.query("inspect", db)
        self.assertLessEqual({"path", "format", "dimension", "count", "dtype", "nan", "zero", "ok", "detail"}, set(doc))
        self.assertEqual((doc["path"], doc["format"], doc["ok"], doc["dimension"]), (db, "sqlite", True, None))
        self.assertIn("sqlite", self.snap("inspect", db).out)
        self.assertIn("sqlite", self.snap("inspect", "--quick", db).out)

    def test_others(self):
        self.write("d/x", b"x")
        doc = self.query("inspect", self.path("d"), self.path("d/x"))
        self.assertEqual([d["format"] for d in doc], ["directory", "file"])

    def test_broken(self):
        db = self.database(rows=3000)
        with open(db, "r+b") as f:
            f.seek(4096 * 5)
            f.write(b"\xa5" * 4096 * 3)
        good = self.database("good.db", rows=5)
        r = self.snap("--json", "inspect", good, db, code=13)
        self.assertEqual([d["ok"] for d in r.doc()], [True, False])
        self.assertIn("BROKEN", self.snap("inspect", db, code=13).out)

    def test_missing(self):
        r = self.fails(3, "source-missing", "inspect", self.path("absent"))
        self.assertNotIn("stored", r.last()["hint"])
        os.mkfifo(self.path("fifo"))
        r = self.fails(3, "source-unreadable", "inspect", self.path("fifo"))
        self.assertNotIn("stored", r.last()["hint"])

    def test_does_not_touch(self):
        db = self.database(rows=10)
        live = sqlite3.connect(db)
        live.execute("insert into a(v) values (1)")
        live.commit()
        before = sorted(os.listdir(self.dir)), self.read(db), self.read(db + "-wal")
        self.snap("inspect", db)
        self.assertEqual((sorted(os.listdir(self.dir)), self.read(db), self.read(db + "-wal")), before)
        live.close()
