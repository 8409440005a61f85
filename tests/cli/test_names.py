"""Names that break other programs: restored byte for byte, printed escaped, lossless in JSON."""
import os

from harness import Case

HOSTILE = [b"new\nline", b"tab\tin", b"esc\x1b[31mred", b"bad\xff\xfeutf8", b"half\xc3", b"\xed\xa0\x80surrogate",
           b"quote'\"", b"back\\slash", b"-rf", b"--repo", b" lead and trail ", b"$(reboot)", b"n" * 255, b"\x01\x7f",
           "späße ☃ 🎉".encode(), b"colon:/in:name", b"*", b"...", b"latest~1"]


class Names(Case):
    def setUp(self):
        super().setUp()
        for i, name in enumerate(HOSTILE):
            self.write(b"tree/" + name, b"content %d" % i)
            self.write(b"tree/dir" + name[:200] + b"/file", b"x")
        os.symlink(b"to\n\xff", os.path.join(self.dir.encode(), b"tree/a-link"))

    def test_round_trip(self):
        tree = self.path("tree")
        before = self.describe(tree)
        self.snap("backup", tree)
        self.snap("restore", "latest", "--target", self.path("out"))
        self.same_tree(before, self.describe(self.path("out") + tree))

    def test_json_is_lossless(self):
        tree = os.fsencode(self.path("tree"))
        self.snap("backup", tree)
        r = self.snap("--json", "ls", "latest")
        r.raw.decode("utf-8")
        paths = {self.exact(e, "path") for e in r.doc()}
        for name in HOSTILE:
            self.assertIn(os.path.join(tree, name), paths)
        link = [e for e in r.doc() if e["type"] == "symlink"][0]
        self.assertEqual(self.exact(link, "link_target"), b"to\n\xff")

    def test_text_holds_no_control_bytes(self):
        self.snap("backup", self.path("tree"))
        for args in (["ls", "latest"], ["ls", "-l", "latest"], ["find", "*"], ["show", "latest"], ["list"]):
            out = self.snap(*args).raw
            self.assertFalse(set(out) & (set(range(32)) - {10} | {127}), args)
            out.decode("utf-8")
        lines = self.snap("ls", "latest").out.splitlines()
        self.assertEqual(len(lines), 3 * len(HOSTILE) + 4)  # the tree, a link, two directories of colon:/

    def test_each_can_be_named(self):
        tree = os.fsencode(self.path("tree"))
        self.snap("backup", tree)
        for i, name in enumerate(HOSTILE):
            self.assertEqual(self.snap("dump", b"latest:" + tree + b"/" + name).raw, b"content %d" % i)

    def test_as_source(self):
        for name in HOSTILE:
            path = os.path.join(os.fsencode(self.path("tree")), name)
            s = self.summary("backup", "--", path)
            self.assertEqual(self.exact(s["items"][0], "path"), path)
            self.assertEqual(self.exact(s, "set"), path)
        for row in self.query("list"):
            self.assertEqual(len(row["sources"]), 1)
        self.assertFalse(set(self.snap("list").raw) & (set(range(32)) - {10} | {127}))

    def test_in_messages(self):
        path = os.path.join(os.fsencode(self.dir), b"absent\x1b[2J\xff\n")
        r = self.snap("backup", path, code=1)
        self.assertNotIn("\x1b", r.err)
        r = self.snap("--json", "backup", path, code=1)
        r.raw.decode("utf-8")
        r.last()

    def test_exact_path_in_place(self):
        tree = self.path("tree")
        before = self.describe(tree)
        self.snap("backup", tree)
        for name in HOSTILE:
            self.write(b"tree/" + name, b"overwritten")
        self.snap("restore", "latest", "--yes")
        self.same_tree(before, self.describe(tree))
        include = os.path.join(os.fsencode(tree), b"bad\xff\xfeutf8")
        self.write(include, b"again")
        self.snap("restore", "latest", "--include", include, "--yes")
        after = self.describe(tree)
        after[0][b"."] = before[0][b"."]  # the directory itself got a new name in it for a moment
        self.same_tree(before, after)
