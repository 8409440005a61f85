"""Databases that live while they are captured: every snapshot is one moment, and nobody who writes is kept waiting."""
import os
import sqlite3
import subprocess
import sys
import time

from harness import LONG, Case

WRITER = """
import sqlite3, sys, time, random
path, report = sys.argv[1:3]
db = sqlite3.connect(path, timeout=60, isolation_level=None)
db.execute('pragma wal_autocheckpoint=50')
random.seed(1)
worst, n = 0.0, 0
print('ready', flush=True)
while True:
    begun = time.monotonic()
    db.execute('begin immediate')
    for _ in range(20):
        v = random.randrange(1000)
        db.execute('insert into a(v, t) values(?, ?)', (v, 'x' * random.randrange(600)))
        db.execute('insert into b(v) values(?)', (-v,))
    if n % 7 == 0:
        db.execute('delete from a where id in (select a.id from a join b using(id) where a.v = -b.v order by random() limit 10)')
        db.execute('delete from b where id not in (select id from a)')
    db.execute('commit')
    worst = max(worst, time.monotonic() - begun)
    n += 1
    if n % 5 == 0:
        open(report + '.new', 'w').write(f'{n} {worst}')
        import os; os.rename(report + '.new', report)
"""
CHECKPOINTER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=1, isolation_level=None)
print('ready', flush=True)
i = 0
while True:
    try:
        db.execute('pragma wal_checkpoint(%s)' % ['passive', 'full', 'restart', 'truncate'][i % 4]).fetchall()
    except sqlite3.OperationalError:
        pass
    i += 1
    time.sleep(0.01)
"""
READER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
print('ready', flush=True)
while True:
    db.execute('begin')
    db.execute('select sum(v) from a').fetchone()
    time.sleep(0.3)
    db.execute('rollback')
"""


class Live(Case):
    def start(self, code, *args):
        p = subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.PIPE)
        self.addCleanup(self.end, p)
        self.assertEqual(p.stdout.readline(), b"ready\n")
        return p

    def test_captures_beside_writer_checkpointer_and_reader(self):
        db = self.database(rows=2000)
        workers = [self.start(WRITER, db, self.path("report")), self.start(CHECKPOINTER, db), self.start(READER, db)]
        ids = [self.backup(db) for _ in range(100 if LONG else 15)]
        for w in workers:
            self.assertIsNone(w.poll(), "a user of the database failed")
            self.end(w)
        n, worst = open(self.path("report")).read().split()
        self.assertGreater(int(n), 0)
        self.assertLess(float(worst), 20)
        sums = set()
        for i, snap in enumerate(ids):
            with open(self.path("copy.db"), "wb") as f:
                self.snap("dump", f"{snap}:{db}", stdout=f)
            self.check_invariant(self.path("copy.db"))
            sums.add(os.stat(self.path("copy.db")).st_size)
        self.assertEqual({r["state"] for r in self.query("list")}, {"good"})
        s = self.summary("verify", "--read-data", "--databases")
        self.assertEqual(s["errors"], [])

    def test_other_names(self):
        """Written to by its other name, a database has its newest rows in a WAL that is not seen under this one."""
        db = self.database(rows=10)
        os.mkdir(self.path("elsewhere"))
        os.link(db, self.path("elsewhere/other.db"))
        live = sqlite3.connect(self.path("elsewhere/other.db"))
        live.execute("insert into a(v) values(0)")
        live.commit()
        for what in (db, db, self.dir + "/t"):  # told again when nothing seems to have changed, and in a tree
            if what != db:
                os.mkdir(what)
                os.link(db, what + "/third.db")
            r = self.snap("backup", what)
            self.assertIn("names (hard links)", r.err)
            self.assertEqual(r.err.count("hard links"), 1, r.err)
        live.close()
        self.assertNotIn("hard links", self.snap("backup", self.database("alone.db")).err)

    def test_source_is_not_written_to(self):
        db = self.database(rows=500)
        live = sqlite3.connect(db)
        live.execute("insert into a(v) values(0)")
        live.commit()
        before = {s: (self.read(db + s), os.stat(db + s).st_mtime_ns) for s in ("", "-wal")}
        self.snap("backup", db)
        self.assertEqual({s: (self.read(db + s), os.stat(db + s).st_mtime_ns) for s in ("", "-wal")}, before)
        live.close()

    def test_a_writer_is_not_blocked(self):
        db = self.database(rows=20000)
        writer = sqlite3.connect(db, timeout=0, isolation_level=None)
        p = self.start_snap("backup", db)
        n = 0
        while p.poll() is None:
            writer.execute("insert into a(v) values(0)")  # raises when the database is locked
            n += 1
            time.sleep(0.001)
        self.assertEqual(p.returncode, 0)
        self.assertGreater(n, 0)

    def test_uncommitted_changes_are_not_in_it(self):
        for wal in (True, False):
            db = self.database(f"u{wal}.db", rows=100, wal=wal)
            rows = self.dump_rows(db)
            live = sqlite3.connect(db, isolation_level=None)
            live.execute("begin")
            live.execute("update a set t = 'never'")
            self.snap("backup", db)
            live.execute("rollback")
            live.close()
            with open(self.path("copy.db"), "wb") as f:
                self.snap("dump", f"latest:{db}", stdout=f)
            self.assertEqual(self.dump_rows(self.path("copy.db")), rows)

    def test_exclusive_lock_is_said(self):
        db = self.database(rows=100, wal=False)
        live = sqlite3.connect(db, isolation_level=None)
        live.execute("begin exclusive")
        r = self.run_snap("--json", "backup", db, timeout=120)
        self.assertIn(r.code, (1, 3), str(r))
        self.assertIn("good" if r.code == 0 else "", str(r))
        live.execute("rollback")
        for row in self.query("list"):
            self.assertEqual(row["state"], "partial")

    def test_page_sizes(self):
        for size in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
            for wal in (True, False):
                db = self.database(f"p{size}{wal}.db", rows=300, page_size=size, wal=wal)
                self.change(db)
        paths = [self.path(n) for n in os.listdir(self.dir) if n.startswith("p") and n.endswith(".db")]
        self.assertEqual(len(paths), 16)
        self.snap("backup", *paths)
        self.snap("restore", "latest", "--target", self.path("out"))
        for p in paths:
            self.assertEqual(self.dump_rows(self.path("out") + p), self.dump_rows(p))
            self.check_invariant(self.path("out") + p)

    def test_another_owner_with_a_hostile_journal(self):
        """A hot journal that names a super-journal must not get that file removed."""
        if os.geteuid() != 0:
            self.skipTest("needs root to give a file away")
        db = self.database("h/app.db", rows=50, wal=False)
        victim = self.write("h/victim", b"precious")
        name = victim.encode()
        page = self.read(db)[:4096]
        header = bytes.fromhex("d9d505f920a163d7") + (1).to_bytes(4, "big") + b"\0\0\0\1" + (3).to_bytes(4, "big") + \
            (512).to_bytes(4, "big") + (4096).to_bytes(4, "big")
        total = sum(page[i] for i in range(4096 - 200, 0, -200)) + 1
        record = (1).to_bytes(4, "big") + page + (total & 0xFFFFFFFF).to_bytes(4, "big")
        body = header.ljust(512, b"\0") + record
        trailer = (4096 + 0x40000000 // 4096).to_bytes(4, "big") + name + len(name).to_bytes(4, "big") + \
            sum(name).to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7")
        self.write("h/app.db-journal", body + trailer)
        os.chown(self.path("h"), 1000, 1000)
        for n in ("app.db", "app.db-journal"):
            os.chown(self.path("h", n), 1000, 1000)
        before = self.read(self.path("h/app.db-journal"))
        r = self.run_snap("backup", db)
        self.assertIn(r.code, (0, 1, 3), str(r))
        self.assertEqual(self.read(victim), b"precious")
        self.assertEqual(self.read(self.path("h/app.db-journal")), before)
