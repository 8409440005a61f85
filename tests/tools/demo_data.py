#!/usr/bin/env python3
"""Sample data for ./dev demo: a task database with a writer at work, and a directory of vector files.

  demo_data.py make DIR      DIR/app.db and DIR/vectors/
  demo_data.py write DB      book transfers until a file DB.stop appears: two rows a transaction whose sum is 0
  demo_data.py change DIR    a day of ordinary work
  demo_data.py break DIR     what an incident does: rows deleted, a vector file overwritten
  demo_data.py print DIR     a fingerprint of everything but the writer's own table; fails if the database is not sound
"""
import hashlib
import os
import random
import sqlite3
import struct
import sys
import time

DIM = 64


def connect(path):
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    db.execute("PRAGMA synchronous=NORMAL")
    return db


def vectors(rng, count):
    rows = []
    for _ in range(count):
        v = [rng.gauss(0, 1) for _ in range(DIM)]
        norm = sum(x * x for x in v) ** 0.5
        rows.append(struct.pack(f"<{DIM}f", *(x / norm for x in v)))
    return b"".join(rows)


def npy(body):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(body) // 4 // DIM}, {DIM}), }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n" + body


def make(folder):
    rng = random.Random(1)
    os.makedirs(os.path.join(folder, "vectors"))
    db = connect(os.path.join(folder, "app.db"))
    db.execute("PRAGMA journal_mode=WAL")
    db.executescript("""
        CREATE TABLE tasks(id INTEGER PRIMARY KEY, title TEXT NOT NULL, status TEXT NOT NULL, note TEXT);
        CREATE INDEX tasks_status ON tasks(status);
        CREATE TABLE ledger(id INTEGER PRIMARY KEY, amount INTEGER NOT NULL);""")
    db.execute("BEGIN")
    db.executemany("INSERT INTO tasks(title,status,note) VALUES(?,?,?)",
                   ((f"task {i}", rng.choice(["queued", "running", "done"]), f"note {rng.random():.12f} " * 8)
                    for i in range(20000)))
    db.execute("COMMIT")
    db.close()
    for name in ("chapters", "paragraphs", "questions"):
        with open(os.path.join(folder, "vectors", name + ".npy"), "wb") as f:
            f.write(npy(vectors(rng, 4000)))


def write(path):
    rng = random.Random()
    db = connect(path)
    while not os.path.exists(path + ".stop"):
        amount = rng.randrange(1, 1000)
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO ledger(amount) VALUES(?)", (amount,))
        db.execute("INSERT INTO ledger(amount) VALUES(?)", (-amount,))
        db.execute("COMMIT")
        time.sleep(0.005)
    db.close()


def change(folder):
    rng = random.Random(2)
    db = connect(os.path.join(folder, "app.db"))
    db.execute("BEGIN IMMEDIATE")
    for _ in range(200):
        db.execute("UPDATE tasks SET status='done', note=? WHERE id=?",
                   (f"changed {rng.random():.12f}", rng.randrange(1, 20001)))
    db.executemany("INSERT INTO tasks(title,status) VALUES(?,'queued')", ((f"new task {i}",) for i in range(100)))
    db.execute("COMMIT")
    db.close()
    with open(os.path.join(folder, "vectors", "questions.npy"), "r+b") as f:
        f.seek(128 + 100 * DIM * 4)
        f.write(vectors(rng, 5))
    with open(os.path.join(folder, "vectors", "answers.npy"), "wb") as f:
        f.write(npy(vectors(rng, 500)))


def break_it(folder):
    db = connect(os.path.join(folder, "app.db"))
    db.execute("DELETE FROM tasks WHERE id % 3 = 0")
    db.close()
    with open(os.path.join(folder, "vectors", "paragraphs.npy"), "wb") as f:
        f.write(b"this was a vector file\n")


def fingerprint(folder):
    db = connect(os.path.join(folder, "app.db"))
    if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
        sys.exit("demo_data: integrity_check found something")
    if db.execute("SELECT total(amount) FROM ledger").fetchone()[0] != 0:
        sys.exit("demo_data: half a transaction is in the ledger")
    digest = hashlib.sha256()
    for row in db.execute("SELECT * FROM tasks ORDER BY id"):
        digest.update(repr(row).encode())
    db.close()
    place = os.path.join(folder, "vectors")
    for name in sorted(os.listdir(place)):
        with open(os.path.join(place, name), "rb") as f:
            digest.update(name.encode() + hashlib.sha256(f.read()).digest())
    print(digest.hexdigest())


def main():
    verbs = {"make": make, "write": write, "change": change, "break": break_it, "print": fingerprint}
    if len(sys.argv) != 3 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]](sys.argv[2])


if __name__ == "__main__":
    main()
