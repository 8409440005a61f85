"""The configuration file: what it means, and that nothing in it is accepted and ignored."""
import os

from harness import Case


class ConfigErrors(Case):
    init_repo = False

    def refused(self, text, *words):
        conf = self.config(text)
        r = self.fails(2, "configuration", "list", env={"SNAP_CONFIG": conf})
        for word in words:
            self.assertIn(word, r.last()["message"])
        return r.last()

    def test_unknown_key_names_file_and_line(self):
        e = self.refused("[repository]\n\n# a comment\npath = @/repo\nkeyfile = /x\n", "snap.conf:5", "keyfile")
        self.assertIn("key-file", e["hint"])

    def test_keys_of_later_issues_are_unknown(self):
        self.refused("[repository]\npath = @/repo\ntrash-days = 7\n", ":3:", "trash-days")
        self.refused("[repository]\nparity = standard\n", ":2:", "parity")
        self.refused("[source a]\npath = /x\nstaging-tables = t\n", ":3:", "staging-tables")
        self.refused("[source a]\npath = /x\n[set s]\nsources = a\nmax-age = 26h\n", ":5:", "max-age")
        self.refused("[retention]\nkeep-last = 3\n", ":1:", "retention")

    def test_only_a_file(self):
        """A FIFO would be waited for, and a device read, for ever."""
        os.mkfifo(self.path("fifo"))
        with open(self.path("huge"), "wb") as f:
            f.truncate(2 << 20)
        for name in (self.path("fifo"), "/dev/zero", self.dir, self.path("huge")):
            self.fails(2, "configuration", "-c", name, "list", timeout=20)
        self.fails(10, "no-repository", "-c", "/dev/null", "list")

    def test_unknown_types(self):
        for kind in ("qdrant", "neo4j", "postgres", "nonsense"):
            self.refused(f"[source a]\ntype = {kind}\npath = /x\n", ":2:", "unknown type", kind)

    def test_unknown_section_even_when_empty(self):
        e = self.refused("[sett a]\n", ":1:", "sett a")
        self.assertIn("set", e["hint"])
        self.refused("[repository main]\n", ":1:")
        self.refused("[source]\npath = /x\n", ":1:", "NAME")

    def test_key_before_any_section(self):
        self.refused("path = /x\n", ":1:", "section")

    def test_given_twice(self):
        self.refused("[repository]\npath = /a\npath = /b\n", ":3:", "twice")
        self.refused("[repository]\npath = /a\n[repository]\n", ":3:", "twice")
        self.refused("[source a]\npath = /a\n[source a]\npath = /b\n", ":3:", "twice")
        self.refused("[source a]\npath = /a\ntype = files\ntype = files\n", ":4:", "twice")
        self.refused("[source a]\npath = /a\n[set s]\nsources = a\nsources = a\n", ":5:", "twice")

    def test_paths_are_absolute(self):
        self.refused("[repository]\npath = repo\n", ":2:", "absolute")
        self.refused("[source a]\npath = data\n", ":2:", "absolute")

    def test_values(self):
        self.refused("[source a]\npath = /a\ncheckpoint = full\n", ":3:", "passive")
        self.refused("[source a]\npath = /a\nexclude-caches = maybe\n", ":3:", "maybe")
        self.refused("[repository]\npath =\n", ":2:", "no value")
        self.refused("[source a]\ntype = files\n", ":1:", "no path")
        self.refused("[set s]\nsources = a b\n", ":1:", "'a'")
        self.refused("[set s]\n", ":1:", "no sources")
        self.refused("[source a/b]\npath = /x\n", ":1:", "name")

    def test_not_a_key(self):
        self.refused("[repository]\njust words\n", ":2:")
        self.refused("[repository\npath = /x\n", ":1:")
        self.refused("[source a]\npath = /" + "x" * 400 + "\n", ":2:", "long")

    def test_a_long_unknown_key_is_not_cut(self):
        self.refused("[repository]\n" + "path" * 20 + " = /x\n", ":2:")

    def test_same_name_of_set_and_lone_source(self):
        self.refused("[source a]\npath = /a\n[source b]\npath = /b\n[set a]\nsources = b\n", ":1:", "'a'")

    def test_file_that_is_not_there(self):
        r = self.fails(2, "configuration", "list", "--config", self.path("absent.conf"))
        self.assertIn("absent.conf", r.last()["message"])


class Sets(Case):
    def setUp(self):
        super().setUp()
        self.db = self.database("app.db", rows=50)
        self.write("tree/one", b"1")
        self.write("tree/cache/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n")
        self.write("tree/cache/junk", b"junk")
        self.write("tree/x.tmp", b"t")
        self.write("tree/y.log", b"l")
        self.write("other/two", b"2")
        conf = self.config("[repository]\npath = @/repo   ; here\nkey-file = @/key\n"
                           "[source db]\ntype = sqlite\npath = @/app.db\n"
                           "[source tree]\ntype=files\npath=@/tree\nexclude = *.tmp\nexclude = *.log\nexclude-caches = yes\n"
                           "[source lone]\npath = @/other\none-file-system = true\n"
                           "# the recovery point\n[set app]\nsources = db\n   tree\n")
        self.env = self.environment({"SNAP_CONFIG": conf, "SNAP_REPOSITORY": None, "SNAP_KEY_FILE": None})

    def sets(self):
        return [(s["set"], s["sources"]) for s in self.query("list")]

    def test_all_sets(self):
        lines = [x for x in self.snap("--json", "backup").lines() if x["message_type"] == "summary"]
        self.assertEqual([x["set"] for x in lines], ["app", "lone"])
        self.assertEqual([i["source"] for i in lines[0]["items"]], ["db", "tree"])
        self.assertEqual([i["type"] for i in lines[0]["items"]], ["sqlite", "files"])
        self.assertEqual(self.sets(), [("app", ["db", "tree"]), ("lone", ["lone"])])

    def test_excludes(self):
        self.snap("backup", "--set", "app", "--exclude", "one")
        names = [e["path"] for e in self.query("ls", "latest")]
        self.assertIn(self.path("tree"), names)
        for gone in ("tree/one", "tree/x.tmp", "tree/y.log", "tree/cache/junk"):
            self.assertNotIn(self.path(gone), names)

    def test_one_set(self):
        self.snap("backup", "--set", "app")
        self.assertEqual(self.sets(), [("app", ["db", "tree"])])
        self.snap("backup", "--set", "lone", "--set", "app")
        self.assertEqual([s for s, _ in self.sets()], ["app", "lone", "app"])

    def test_one_source_is_a_set_of_its_own(self):
        self.snap("backup", "--source", "tree")
        self.assertEqual(self.sets(), [("tree", ["tree"])])
        self.assertEqual(self.query("list", "--source", "tree")[0]["set"], "tree")
        self.assertEqual(self.query("list", "--source", "db"), [])

    def test_unknown_names(self):
        self.fails(2, "usage", "backup", "--set", "none")
        self.fails(2, "usage", "backup", "--source", "none")
        self.fails(2, "usage", "backup", "--set", "lone", "--source", "db")
        self.fails(2, "usage", "backup", "--source", "db", self.path("tree"))
        self.assertEqual(self.ids(), [])

    def test_hold_needs_one_set(self):
        self.fails(2, "usage", "backup", "--hold", "v1")
        self.snap("backup", "--set", "app", "--hold", "v1")
        self.assertEqual(self.query("show", "v1")["set"], "app")

    def test_paths_with_a_set_name(self):
        self.snap("backup", "--set", "special", self.path("other"))
        self.assertEqual(self.sets()[0][0], "special")

    def test_one_missing_source_of_several_sets(self):
        import shutil
        shutil.rmtree(self.path("other"))
        r = self.snap("--json", "backup", code=1)
        self.assertEqual(r.lines()[0]["set"], "app")
        self.assertEqual(r.last()["name"], "nothing-stored")
        self.assertEqual([s for s, _ in self.sets()], ["app"])

    def test_latest_of_a_set(self):
        self.snap("backup", "--set", "app")
        first = self.ids()[0]
        self.snap("backup", "--set", "lone")
        self.assertEqual(self.query("show", "latest@app")["id"], first)
        self.assertEqual(self.query("show", "latest")["set"], "lone")
        self.fails(1, "unknown-id", "show", "latest@none")
