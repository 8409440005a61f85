"""Damage: all of it is found, what it affects is named, nothing else is harmed, and never are wrong bytes handed out."""
import os
import shutil
import sqlite3

from harness import Case


class Verify(Case):
    def setUp(self):
        super().setUp()
        self.keep = self.write("keep/data", os.urandom(300000))
        self.a = self.backup(self.path("keep"))
        self.hit = self.write("hit/data", os.urandom(300000))
        before = set(self.packs())
        self.b = self.backup(self.path("hit"))
        self.new_packs = sorted(set(self.packs()) - before)

    def packs(self):
        place = os.path.join(self.repo, "packs")
        return [os.path.join(d, n) for d, _, names in os.walk(place) for n in names]

    def flip(self, path, offset):
        with open(path, "r+b") as f:
            f.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 0x40]))

    def test_sound(self):
        for args in ([], ["--read-data"], ["--databases"], ["--read-data-subset", "1/2"], ["--read-data-subset", "10%"],
                     ["--read-data-subset", "5G"], ["--max-duration", "1h"], [self.a], [self.a, "latest"]):
            s = self.summary("verify", *args)
            self.assertLessEqual({"snapshots", "packs", "bytes_read", "duration_s", "errors", "healed"}, set(s))
            self.assertEqual(s["errors"], [])
        self.assertEqual(self.summary("check")["snapshots"], 2)
        self.assertEqual(self.summary("verify", self.a)["snapshots"], 1)
        self.assertEqual(self.summary("verify", self.a, self.b, "latest")["snapshots"], 2)
        self.assertIn("no damage", self.snap("verify", "--read-data").out)

    def test_only_the_log_grows(self):
        before = self.repo_state()
        self.snap("verify", "--read-data")
        after = self.repo_state()
        new = set(after) - set(before)
        self.assertEqual({n: after[n] for n in before}, before)
        self.assertTrue(all(n.startswith("log/") for n in new), new)

    def expect_damage(self, *args, affects=None):
        r = self.snap("--json", "verify", *args, code=13)
        s = r.last()
        self.assertEqual(s["message_type"], "summary")
        self.assertTrue(s["errors"], str(r))
        for e in s["errors"]:
            self.assertLessEqual({"kind", "object", "affects"}, set(e))
        if affects:
            self.assertEqual({i for e in s["errors"] for i in e["affects"]}, set(affects), str(r))
        return s

    def test_every_kind_of_damage_to_a_pack(self):
        pack = max(self.new_packs, key=os.path.getsize)
        whole = self.read(pack)
        size = len(whole)

        def truncate(n):
            with open(pack, "r+b") as f:
                f.truncate(n)

        def append():
            with open(pack, "ab") as f:
                f.write(b"x")
        damages = {"a bit in the header": lambda: self.flip(pack, 20), "a bit in a record": lambda: self.flip(pack, size // 2),
                   "a bit in the table": lambda: self.flip(pack, -150), "a bit in the trailer": lambda: self.flip(pack, -3),
                   "cut short": lambda: truncate(size // 2), "empty": lambda: truncate(0), "longer": append,
                   "deleted": lambda: os.unlink(pack)}
        for what, damage in damages.items():
            with self.subTest(what):
                with open(pack, "wb") as f:
                    f.write(whole)
                damage()
                s = self.expect_damage("--read-data", affects=[self.b])
                self.assertIn(os.path.basename(pack)[:16], " ".join(e["object"] for e in s["errors"]))
                r = self.run_snap("restore", self.b, "--target", self.path("out"))
                if r.code == 0:  # the damage is beside the data
                    self.assertEqual(self.read(self.path("out") + self.hit), self.read(self.hit))
                else:
                    self.assertIn(r.code, (1, 13) if "header" in what else (13,), str(r))
                shutil.rmtree(self.path("out"), ignore_errors=True)
                self.snap("restore", self.a, "--target", self.path("out"))
                self.assertEqual(self.read(self.path("out") + self.keep), self.read(self.keep))
                shutil.rmtree(self.path("out"))
        with open(pack, "wb") as f:
            f.write(whole)
        self.snap("verify", "--read-data")

    def test_structure_alone_finds_a_missing_and_a_cut_pack(self):
        pack = self.new_packs[0]
        whole = self.read(pack)
        os.unlink(pack)
        self.expect_damage(affects=[self.b])
        with open(pack, "wb") as f:
            f.write(whole[:-10])
        self.expect_damage(affects=[self.b])

    def test_named_in_words(self):
        os.unlink(self.new_packs[0])
        r = self.snap("verify", code=13)
        self.assertIn("DAMAGE", r.out)
        self.assertIn(self.b[:8], r.out)
        self.assertIn(self.path("hit"), r.out)
        self.assertNotIn(self.a[:8], r.out)

    def test_state_damaged_and_back(self):
        pack = self.new_packs[0]
        os.rename(pack, self.path("kept"))
        self.expect_damage()
        self.assertEqual([r["state"] for r in self.query("list")], ["good", "damaged"])
        self.assertEqual(self.query("show", "latest")["id"], self.a, "latest passes over it")
        os.rename(self.path("kept"), pack)
        self.snap("verify")
        self.assertEqual([r["state"] for r in self.query("list")], ["good", "good"])

    def test_a_next_backup_stores_lost_chunks_again(self):
        for pack in self.new_packs:
            os.unlink(pack)
        self.expect_damage()
        c = self.backup(self.path("hit"), "--force-read")
        self.snap("restore", c, "--target", self.path("out"))
        self.assertEqual(self.read(self.path("out") + self.hit), self.read(self.hit))

    def log_records(self):
        place = os.path.join(self.repo, "log")
        return sorted(os.path.join(place, n) for n in os.listdir(place))

    def test_log_record_removed_from_the_middle(self):
        self.backup(self.path("keep"))
        os.unlink(self.log_records()[1])
        r = self.run_snap("--json", "verify")
        self.assertEqual(r.code, 13, str(r))

    def test_gap_in_the_log_without_a_catalog(self):
        self.backup(self.path("keep"))
        kept = self.path("record")
        shutil.move(self.log_records()[1], kept)
        shutil.rmtree(self.cache)
        for _ in range(2):
            for args in (["list"], ["verify"], ["rebuild"], ["backup", self.path("keep")]):
                r = self.run_snap("--json", *args)
                self.assertEqual((r.code, r.last()["name"]), (13, "history-altered"), str(r))
                self.assertIn("from a copy of the repository", r.last()["hint"])
                self.assertNotIn("run 'snap", r.last()["hint"])
        shutil.move(kept, os.path.join(self.repo, "log", "%016d" % 2))
        self.assertEqual(len(self.ids()), 3)

    def test_history_cut_back(self):
        os.unlink(self.log_records()[-1])
        self.fails(13, "history-altered", "list")
        self.fails(13, "history-altered", "backup", self.path("keep"))

    def test_history_rewritten(self):
        records = self.log_records()
        shutil.copy(records[0], self.path("saved"))
        other = self.path("other")
        shutil.copytree(self.repo, other)
        os.unlink(os.path.join(other, "log", os.path.basename(records[-1])))
        self.snap("backup", self.path("keep"), "--repo", other, "--cache-dir", self.path("cache2"))
        shutil.copy(os.path.join(other, "log", os.path.basename(records[-1])), records[-1])
        self.fails(13, "history-altered", "list")

    def test_one_copy_of_a_log_record_heals(self):
        record = self.log_records()[0]
        self.flip(record, 100)
        shutil.rmtree(self.cache)
        self.assertEqual(len(self.ids()), 2)

    def test_all_copies_of_a_log_record(self):
        record = self.log_records()[0]
        with open(record, "r+b") as f:
            size = f.seek(0, 2)
            f.seek(0)
            f.write(os.urandom(size))
        shutil.rmtree(self.cache)
        r = self.run_snap("--json", "list")
        self.assertEqual((r.code, r.last()["name"]), (13, "damaged"), str(r))
        self.assertIn("from a copy of the repository", r.last()["hint"])

    def test_newer_format(self):
        path = os.path.join(self.repo, "config")
        data = self.read(path)
        at = data.index(b"SNAPREPO")
        changed, n = bytearray(data), 0
        while at >= 0:
            changed[at + 8] = 9
            n += 1
            at = data.find(b"SNAPREPO", at + 1)
        with open(path, "wb") as f:
            f.write(changed)
        r = self.run_snap("--json", "list")
        self.assertIn(r.code, (1, 13), str(r))
        self.assertGreaterEqual(n, 1)

    def test_config_and_slots_damaged(self):
        config = os.path.join(self.repo, "config")
        whole = self.read(config)
        with open(config, "wb") as f:
            f.write(os.urandom(len(whole)))
        r = self.run_snap("--json", "list")
        self.assertIn(r.last()["name"], ("damaged", "no-repository"), str(r))
        with open(config, "wb") as f:
            f.write(whole)
        place = os.path.join(self.repo, "keys")
        for name in os.listdir(place):
            with open(os.path.join(place, name), "r+b") as f:
                n = f.seek(0, 2)
                f.seek(0)
                f.write(os.urandom(n))
        r = self.run_snap("--json", "list")
        self.assertIn(r.code, (12, 13), str(r))

    def test_databases(self):
        db = self.database(rows=500)
        self.snap("backup", db)
        s = self.summary("verify", "--databases")
        self.assertEqual([(d["path"], d["sound"]) for d in s["databases"]], [(db, True)])
        self.assertIn("databases", self.snap("show", "latest").out)

    def test_foreign_keys(self):
        db = self.path("fk.db")
        c = sqlite3.connect(db)
        c.executescript("create table p(id integer primary key); create table c(p references p(id));"
                        "insert into p values(1); insert into c values(1),(2);")
        c.close()
        self.snap("backup", db)
        r = self.run_snap("--json", "verify", "--databases")
        self.assertEqual(r.last()["databases"][0]["foreign_key_violations"], 1, str(r))

    def test_read_only_repository(self):
        as_nobody = self.as_nobody()
        env = {"SNAP_CACHE_DIR": self.path("nobody/cache")}
        before = self.repo_state()
        s = self.summary("verify", "--read-data", prefix=as_nobody, env=env)
        self.assertFalse(s["recorded"])
        self.assertIn("no record of this verification was kept", self.snap("verify", prefix=as_nobody, env=env).err)
        self.snap("restore", self.a, "--target", self.path("nobody/out"), prefix=as_nobody, env=env)
        r = self.run_snap("--json", "backup", self.path("empty.conf"), prefix=as_nobody, env=env)
        self.assertEqual((r.code, r.last()["name"]), (1, "read-only"), str(r))
        self.assertEqual(self.repo_state(), before)
