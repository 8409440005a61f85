"""Vector files: what inspect says of them, what a backup notes, and what a restore proves."""
import json
import os
import shutil
import sqlite3
import struct
import unittest

from harness import ROOT, Case

GOLDEN = os.path.join(ROOT, "tests", "golden", "vectors")


def floats(rows, dim, seed=1):
    data, x = bytearray(), seed
    for _ in range(rows * dim):
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        data += struct.pack("<f", x / 0x7FFFFFFF - 0.4)
    return bytes(data)


def npy(rows, dim, seed=1):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}"
    head += " " * (-(10 + len(head) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + floats(rows, dim, seed)


def records(rows, dim, seed=1):
    values = struct.unpack(f"<{rows * dim}f", floats(rows, dim, seed))
    return {"items": [{"id": f"i-{i}", "text": "a note", "embedding": values[i * dim:(i + 1) * dim]}
                      for i in range(rows)]}


class Vectors(Case):
    def tree(self, dim=768):
        """What an application with embeddings keeps: one file of each usual kind."""
        self.write("db/universal/interactions.json", json.dumps(records(12, dim)))
        self.write("db/universal/knowledge.npy", npy(20, dim, 2))
        self.write("db/universal/settings.json", '{"model": "small", "retries": [1, 2, 3]}')
        self.write("db/universal/README", "not for machines")
        self.embeddings("db/memory.db", 7, dim)
        return self.path("db")

    def embeddings(self, name, rows, dim, seed=3):
        path = self.path(name)
        if os.path.exists(path):
            os.unlink(path)
        db = sqlite3.connect(path)
        db.execute("create table notes(id integer primary key, body text, embedding blob)")
        for i in range(rows):
            db.execute("insert into notes(body, embedding) values(?, ?)", (f"note {i}", floats(1, dim, seed + i)))
        db.commit()
        db.close()
        return path

    def inspected(self, *args, code=0):
        return {d["path"]: d for d in self.snap("--json", "inspect", *args, code=code).doc()}

    def entries(self, snapshot):
        return {e["path"]: e for e in self.query("ls", snapshot)}


class Inspect(Vectors):
    init_repo = False

    def test_a_file(self):
        path = self.write("a.npy", npy(5, 16))
        doc, = self.query("inspect", path)
        self.assertEqual((doc["format"], doc["dimension"], doc["count"], doc["dtype"], doc["nan"], doc["inf"],
                          doc["zero"], doc["ok"], doc["dimension_ok"]),
                         ("npy", 16, 5, "float32", 0, 0, 0, True, True))
        self.assertEqual(doc["dimensions"], [{"dimension": 16, "count": 5}])
        self.assertEqual([(a["dimension"], a["count"], a["vectors"]) for a in doc["arrays"]], [(16, 5, True)])
        quick, = self.query("inspect", "--quick", path)
        self.assertEqual((quick["dimension"], quick["count"], quick["nan"]), (16, 5, None))
        out = self.snap("inspect", path).out
        for word in ("npy", "16", "5", "float32", "sound"):
            self.assertIn(word, out)

    def test_nan_and_zero(self):
        data = npy(5, 4)
        path = self.write("a.npy", data[:-32] + b"\0" * 16 + struct.pack("<4f", 1, float("nan"), float("inf"), 2))
        doc, = self.query("inspect", path)
        self.assertEqual((doc["nan"], doc["inf"], doc["zero"], doc["ok"]), (1, 1, 1, True))
        self.assertIn("1 with infinities", self.snap("inspect", path).out)

    def test_a_migration_half_done(self):
        top = self.tree()
        self.write("db/universal/knowledge.npy", npy(20, 1536))
        r = self.snap("inspect", top)
        self.assertIn("768: 19 vectors in 2 files; 1536: 20 vectors in 1 file: a migration half done?", r.out)
        docs = self.inspected(top)
        self.assertEqual(sorted(docs), [top, top + "/memory.db", top + "/universal/interactions.json",
                                        top + "/universal/knowledge.npy"])
        whole = docs[top]
        self.assertEqual((whole["format"], whole["facts"]["vector_files"], whole["facts"]["databases"],
                          whole["facts"]["other_files"]), ("directory", 2, 1, 2))
        self.assertEqual(whole["dimensions"], [{"dimension": 768, "count": 19}, {"dimension": 1536, "count": 20}])
        bad = self.inspected("--expect-dimension", "768", top, code=16)
        self.assertEqual([p for p, d in bad.items() if not d["dimension_ok"]], [top + "/universal/knowledge.npy", top])
        self.assertIn("NOT OF DIMENSION 768", self.snap("inspect", "--expect-dimension", "768", top, code=16).out)
        self.snap("inspect", "--quick", "--expect-dimension", "768", top, code=16)

    def test_expected_dimension(self):
        top = self.tree()
        self.snap("inspect", "--expect-dimension", "768", top)
        self.snap("inspect", "--expect-dimension", "1536", top, code=16)
        self.write("db/m.jsonl", "\n".join(json.dumps({"embedding": [0.5] * n}) for n in (768, 768, 1536)) + "\n")
        docs = self.inspected("--expect-dimension", "768", top, code=16)
        mixed = docs[top + "/m.jsonl"]
        self.assertEqual((mixed["dimension"], mixed["dimension_ok"]), (None, False))
        self.assertIn("MIXED DIMENSIONS: 768: 2, 1536: 1", mixed["detail"])
        # Of a check that finds nothing to check nobody should think that it passed.
        self.fails(16, "check-failed", "inspect", "--expect-dimension", "768", self.write("other/x", b"x"))

    def test_mixed_in_a_database(self):
        path = self.embeddings("m.db", 5, 768)
        db = sqlite3.connect(path)
        db.execute("insert into notes(embedding) values(?)", (floats(1, 1536),))
        db.commit()
        db.close()
        doc = self.inspected("--expect-dimension", "768", path, code=16)[path]
        self.assertEqual(doc["dimensions"], [{"dimension": 768, "count": 5}, {"dimension": 1536, "count": 1}])
        self.assertIn("MIXED", doc["detail"])

    def test_broken(self):
        top = self.tree()
        self.write("db/cut.npy", npy(5, 768)[:-1])
        docs = self.inspected(top, code=13)
        self.assertEqual([p for p, d in docs.items() if not d["ok"]], [top + "/cut.npy", top])
        self.assertIn("cut off", docs[top + "/cut.npy"]["detail"])
        self.assertIn("BROKEN", self.snap("inspect", top, code=13).out)
        # Damage comes before dimensions.
        self.snap("inspect", "--expect-dimension", "5", top, code=13)

    def test_a_json_text_that_is_cut_within_its_first_vector(self):
        path = self.write("db/i.json", json.dumps(records(1, 64))[:500])
        self.assertFalse(self.inspected(self.path("db"), code=13)[path]["ok"])

    def test_raw_numbers(self):
        path = self.write("db/rows.bin", floats(10, 24))
        self.write("db/README", "not for machines")
        self.assertEqual(self.inspected(path)[path]["format"], "file")
        doc = self.inspected("--dimension", "24", path)[path]
        self.assertEqual((doc["dimension"], doc["count"], doc["dtype"]), (24, 10, "float32"))
        doc = self.inspected("--dimension", "48", "--dtype", "float16", "--expect-dimension", "48", self.path("db"))[path]
        self.assertEqual((doc["dimension"], doc["count"], doc["dtype"]), (48, 10, "float16"))
        self.snap("inspect", "--dimension", "23", path, code=13)

    def test_links_are_not_followed(self):
        self.write("secret/a.npy", npy(3, 8))
        self.write("db/b.npy", npy(3, 16))
        os.symlink(self.path("secret"), self.path("db/dir"))
        os.symlink(self.path("secret/a.npy"), self.path("db/a.npy"))
        os.symlink(".", self.path("db/loop"))
        os.mkfifo(self.path("db/fifo.npy"))
        self.assertEqual(sorted(self.inspected(self.path("db"))), [self.path("db"), self.path("db/b.npy")])

    def test_deep_and_many(self):
        deep = "db/" + "d/" * 300
        self.write(deep[:2 * 200] + "a.npy", npy(2, 8))
        for i in range(2500):
            self.write(f"db/many/{i}.npy", npy(1, 8))
        r = self.snap("inspect", self.path("db"))
        self.assertIn("8: 2,502 vectors in 2,501 files", r.out)
        self.assertEqual(len(self.query("inspect", self.path("db"))), 2502)
        os.makedirs(self.path(deep))
        self.fails(3, "source-unreadable", "inspect", self.path("db"))

    def test_relative_paths_and_several(self):
        self.tree()
        docs = self.query("inspect", "db", "db/universal/README", cwd=self.dir)
        self.assertEqual([d["path"] for d in docs], ["db/memory.db", "db/universal/interactions.json",
                                                     "db/universal/knowledge.npy", "db", "db/universal/README"])
        self.assertEqual(docs[0]["count"], 7)
        self.snap("inspect", "db", "absent", cwd=self.dir, code=3)

    def test_lance(self):
        shutil.copytree(os.path.join(GOLDEN, "lance_new"), self.path("db/t.lance"))
        for top in (self.path("db/t.lance"), self.path("db")):
            doc = self.inspected(top)[self.path("db/t.lance")]
            self.assertEqual((doc["format"], doc["dimension"], doc["count"]), ("lance", 8, 33))
        for d, _, names in os.walk(self.path("db/t.lance/data")):
            os.truncate(os.path.join(d, names[0]), 50)
        self.inspected(self.path("db"), code=13)


class Chroma(Vectors):
    init_repo = False

    def setUp(self):
        super().setUp()
        self.store = self.path("chroma")
        shutil.copytree(os.path.join(GOLDEN, "chroma_store"), self.store)
        self.index, = [n for n in os.listdir(self.store) if n != "chroma.sqlite3"]

    def sql(self, text):
        db = sqlite3.connect(self.path("chroma/chroma.sqlite3"))
        db.execute(text)
        db.commit()
        db.close()

    def doc(self, code=0):
        return self.inspected(self.store, code=code)[os.path.join(self.store, self.index)]

    def test_sound(self):
        doc = self.doc()
        self.assertEqual((doc["format"], doc["dimension"], doc["count"], doc["facts"]["deleted"]), ("chroma", 8, 40, 2))
        self.assertIn("8: 48 vectors in 1 file\n", self.snap("inspect", self.store).out)
        self.inspected("--quick", self.store)
        self.inspected("--expect-dimension", "8", self.store)
        alone = self.inspected(os.path.join(self.store, self.index))
        self.assertEqual([d["count"] for d in alone.values()], [40])

    def test_a_database_of_another_moment(self):
        self.sql("delete from embeddings_queue")
        doc = self.doc(13)
        self.assertFalse(doc["ok"])
        self.assertIn("different moments", doc["detail"])

    def test_another_dimension(self):
        self.sql("update collections set dimension = 9")
        self.assertIn("dimension", self.doc(13)["detail"])

    def test_what_a_deleted_collection_left(self):
        self.sql("delete from segments where scope = 'VECTOR'")
        self.assertIn("left over", self.doc()["detail"])

    def test_a_file_of_the_index_that_was_cut(self):
        os.truncate(os.path.join(self.store, self.index, "data_level0.bin"), 100)
        self.doc(13)


class Backup(Vectors):
    def test_facts(self):
        top = self.tree()
        snap = self.backup(top)
        e = self.entries(snap)
        facts = e[top + "/universal/knowledge.npy"]["facts"]
        self.assertEqual((facts["vectors.format"], facts["vectors.dimension"], facts["vectors.count"],
                          facts["vectors.dtype"], facts["vectors.ok"]), ("npy", 768, 20, "float32", True))
        self.assertEqual(e[top + "/universal/interactions.json"]["facts"]["vectors.count"], 12)
        self.assertNotIn("facts", e[top + "/universal/settings.json"])
        self.assertEqual(e[top + "/memory.db"]["facts"]["vectors.notes.embedding.dimension"], 768)
        self.assertIn("[npy, 20 x 768 float32]", self.snap("ls", "-l", snap).out)
        self.assertNotIn("npy,", self.snap("ls", snap).out)
        self.assertIn("vectors 768: 39 vectors in 3 files\n", self.snap("show", snap).out)
        item, = self.query("show", snap)["items"]
        self.assertEqual(item["vectors"], {"files": 3, "broken": 0, "wrong_dimension": 0,
                                           "dimensions": [{"dimension": 768, "count": 39, "files": 3}]})
        # What has not changed keeps its facts.
        self.write("db/more.npy", npy(3, 768))
        again = self.backup(top)
        self.assertEqual(self.entries(again)[top + "/universal/knowledge.npy"]["facts"], facts)
        self.assertIn("42 vectors in 4 files", self.snap("show", again).out)

    def test_diff(self):
        top = self.tree()
        self.backup(top)
        self.write("db/universal/knowledge.npy", npy(21, 1536))
        self.write("db/new.npy", npy(3, 8))
        self.backup(top)
        out = self.snap("diff", "latest~1", "latest").out
        self.assertIn("[npy, 20 x 768 float32 -> npy, 21 x 1536 float32]", out)
        self.assertIn("new.npy  [npy, 3 x 8 float32]", out)
        changes = {os.path.basename(c["path"]): c for c in self.query("diff", "latest~1", "latest")["changes"]}
        self.assertEqual((changes["knowledge.npy"]["vectors_before"], changes["knowledge.npy"]["vectors_after"]),
                         ("npy, 20 x 768 float32", "npy, 21 x 1536 float32"))

    def test_a_broken_file(self):
        top = self.tree()
        self.backup(top)
        self.write("db/universal/knowledge.npy", npy(20, 768)[:-100])
        for _ in range(2):  # it is told each time
            r = self.snap("--json", "backup", top, code=3)
            self.assertEqual(r.last()["state"], "partial", str(r))
            self.assertEqual([m["name"] for m in r.lines() if m["message_type"] == "warning"], ["source-damaged"], str(r))
        snap = r.last()["snapshot_id"]
        self.assertEqual(r.last()["items"][0]["facts"]["vectors.broken"], 1)
        facts = self.entries(snap)[top + "/universal/knowledge.npy"]["facts"]
        self.assertFalse(facts["vectors.ok"])
        self.assertIn("cut off", facts["vectors.detail"])
        self.assertIn("BROKEN", self.snap("ls", snap).out)
        self.assertIn("1 BROKEN file", self.snap("show", snap).out)
        # It is stored as it is, and comes back as it was.
        r = self.snap("--json", "restore", snap, "--target", self.path("out"))
        said, = [m for m in r.lines() if m["message_type"] == "warning"]
        self.assertEqual(said["name"], "source-damaged")
        self.assertIn("/universal/knowledge.npy was damaged when it was captured: ", said["message"])
        self.assertEqual(self.read(self.path("out") + top + "/universal/knowledge.npy"), npy(20, 768)[:-100])
        os.unlink(top + "/universal/knowledge.npy")
        self.backup(top)

    def test_a_broken_text_without_vectors_is_no_business_of_ours(self):
        self.write("db/tsconfig.json", '{"compilerOptions": {"strict": true,},}')
        self.write("db/x.json", "[1, 2")
        self.backup(self.path("db"))

    def test_one_file(self):
        path = self.write("a.npy", npy(4, 8))
        snap = self.backup(path)
        self.assertEqual(self.query("ls", snap)[0]["facts"]["vectors.count"], 4)
        self.snap("restore", snap, "--yes")
        self.write("a.npy", npy(4, 8)[:-1])
        self.snap("backup", path, code=3)


class Configured(Vectors):
    def setUp(self):
        super().setUp()
        self.conf = ("--config", self.config("[source agentdb]\ntype = vectors\npath = @/db\ndimension = 768\n"))
        self.any = ("--config", self.write("any.conf", f"[source agentdb]\npath = {self.path('db')}\n"))
        self.top = self.tree()

    def run_backup(self, conf, code=0):
        return self.snap("--json", *conf, "backup", code=code)

    def names(self, r):
        return sorted(m["name"] for m in r.lines() if m["message_type"] == "warning")

    def test_as_configured(self):
        first = self.run_backup(self.conf).last()
        self.assertEqual(first["state"], "good")
        self.assertGreater(first["bytes_read"], 50000)
        self.run_backup(self.conf)

    def test_unchanged_files_are_not_read_again(self):
        for name in ("universal/interactions.json", "universal/knowledge.npy", "universal/settings.json",
                     "universal/README", "memory.db"):
            os.utime(os.path.join(self.top, name), (1e9, 1e9))
        self.write("db/young", b"x")
        self.run_backup(self.conf)
        import time
        time.sleep(3.1)  # what changed just before the last look is read again
        self.run_backup(self.conf)
        self.assertLess(self.run_backup(self.conf).last()["bytes_read"], 1000)
        # Another configuration has not been checked yet.
        self.config("[source agentdb]\ntype = vectors\npath = @/db\ndimension = 1536\n")
        r = self.run_backup(self.conf, 3)
        self.assertEqual(self.names(r), ["check-failed"] * 3)
        self.assertEqual(r.last()["items"][0]["facts"]["vectors.unfit"], 2)

    def test_another_dimension(self):
        self.run_backup(self.any)
        self.write("db/universal/knowledge.npy", npy(20, 1536))
        self.run_backup(self.any)
        for _ in range(2):
            r = self.run_backup(self.conf, 3)
            self.assertEqual(self.names(r), ["check-failed"], str(r))
        snap = r.last()["snapshot_id"]
        self.assertEqual(r.last()["state"], "partial")
        facts = self.entries(snap)[self.top + "/universal/knowledge.npy"]["facts"]
        self.assertEqual((facts["vectors.dimension"], facts["vectors.expected_dimension"]), (1536, 768))
        self.assertIn("NOT 768 as configured", self.snap("ls", snap).out)
        self.assertIn("NOT of the configured dimension", self.snap("show", snap).out)

        before = self.describe(self.top)
        for more in ((), ("--target", self.path("out")), ("--dry-run",), ("--include", self.top)):
            self.fails(16, "check-failed", "restore", snap, "--yes", *more)
        self.same_tree(self.describe(self.top), before)
        self.assertFalse(os.path.exists(self.path("out")))
        bad = self.top + "/universal/knowledge.npy"
        self.fails(16, "check-failed", "restore", snap, "--yes", "--include", bad)
        self.assertEqual(self.describe(self.top)[0][b"universal/knowledge.npy"], before[0][b"universal/knowledge.npy"])
        self.assertEqual([n for n in os.listdir(self.dir) if n.startswith(".snap-")], [])
        self.snap("restore", snap, "--yes", "--include", self.top + "/universal/interactions.json")
        os.unlink(bad)
        self.snap("restore", snap, "--yes", "--accept-dimension")
        self.assertEqual(self.read(bad), npy(20, 1536))
        self.snap("undo", "--yes")
        self.assertFalse(os.path.exists(bad))

    def test_a_database(self):
        self.embeddings("db/memory.db", 3, 1536)
        r = self.run_backup(self.conf, 3)
        self.assertEqual(self.names(r), ["check-failed"])
        self.fails(16, "check-failed", "restore", r.last()["snapshot_id"], "--yes")
        self.snap("restore", r.last()["snapshot_id"], "--yes", "--accept-dimension")

    def test_a_broken_file_is_refused_only_if_it_is_marked(self):
        self.write("db/universal/knowledge.npy", npy(20, 768)[:-100])
        snap = self.run_backup(self.conf, 3).last()["snapshot_id"]
        os.unlink(self.top + "/universal/knowledge.npy")  # the backup before the restore would tell of it
        r = self.snap("--json", "restore", snap, "--yes")
        self.assertEqual(self.names(r), ["source-damaged"])
        self.assertIn("was damaged when it was captured", str(r))
        self.write("db/universal/knowledge.npy", npy(20, 1536)[:-100])
        snap = self.run_backup(self.conf, 3).last()["snapshot_id"]
        os.unlink(self.top + "/universal/knowledge.npy")
        self.fails(16, "check-failed", "restore", snap, "--yes")
        r = self.snap("--json", "restore", snap, "--yes", "--accept-dimension")
        self.assertEqual(self.names(r), ["source-damaged"])

    def test_mixed(self):
        self.write("db/m.jsonl", "\n".join(json.dumps({"embedding": [0.5] * n}) for n in (768, 768, 1536)) + "\n")
        r = self.run_backup(self.conf, 3)
        facts = self.entries(r.last()["snapshot_id"])[self.top + "/m.jsonl"]["facts"]
        self.assertEqual(facts["vectors.mixed"], "768: 2, 1536: 1")


class Procedure(Vectors):
    """A migration from 768 to 1536 dimensions that is taken back from copies with a timestamp in their names, file by
    file, and a search for what was forgotten: two commands."""

    def test_taking_a_migration_back(self):
        top = self.tree()
        before = self.describe(top)
        self.snap("backup", top, "--hold", "before-migration")
        # The migration changes two of three files, and stops.
        self.write("db/universal/interactions.json", json.dumps(records(12, 1536)))
        self.embeddings("db/memory.db", 7, 1536)
        self.write("db/migration-state.json", '{"done": ["interactions.json", "memory.db"]}')
        self.assertIn("a migration half done?",
                      self.snap("inspect", top, "--expect-dimension", "768", code=16).out)

        self.snap("restore", "before-migration", "--yes")
        self.snap("inspect", top, "--expect-dimension", "768")

        after = self.describe(top)
        self.assertEqual(sorted(after[0]), sorted(before[0]))
        for name in ("universal/interactions.json", "universal/knowledge.npy"):
            self.assertEqual(after[0][os.fsencode(name)], before[0][os.fsencode(name)])
        # The half that was done is not lost either.
        self.snap("undo", "--yes")
        self.snap("inspect", top, "--expect-dimension", "768", code=16)
        self.assertTrue(os.path.exists(top + "/migration-state.json"))


if __name__ == "__main__":
    unittest.main()
