#!/usr/bin/env python3
"""Writes the SQLite fixtures beside this file.

pip install numpy==2.2.6 apsw sqlite-vec==0.1.9 chromadb   (apsw: a SQLite that loads extensions)
"""
import json
import pathlib
import shutil
import tempfile

import apsw
import chromadb
import numpy as np
import sqlite_vec

HERE = pathlib.Path(__file__).parent
rng = np.random.default_rng(11)


def vector(dimension, kind="<f4"):
    return rng.normal(0, 0.1, dimension).astype(kind).tobytes()


def fresh(name):
    path = HERE / name
    path.unlink(missing_ok=True)
    db = apsw.Connection(str(path))
    db.execute("PRAGMA page_size = 512; PRAGMA journal_mode = DELETE")
    return db


db = fresh("vec0.db")
db.enable_load_extension(True)
db.load_extension(sqlite_vec.loadable_path())
db.execute("BEGIN")
db.execute(
    "CREATE VIRTUAL TABLE docs USING vec0(doc_id integer primary key, embedding float[8] distance_metric=cosine,"
    " team integer partition key, small int8[16], bits bit[64], year integer, +body text, chunk_size=16)"
)
for i in range(40):
    db.execute(
        "INSERT INTO docs(doc_id, embedding, team, small, bits, year, body) VALUES (?,?,?,vec_int8(?),vec_bit(?),?,?)",
        (i, vector(8), i % 2, rng.bytes(16), rng.bytes(8), 2000 + i, f"text {i}"),
    )
db.execute("DELETE FROM docs WHERE doc_id IN (3, 4, 17)")
db.execute("CREATE TABLE vectors_of_others(id INTEGER PRIMARY KEY, v BLOB)")
db.execute("COMMIT")
db.close()

db = fresh("columns.db")
db.execute("BEGIN")
db.execute(
    "CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT, embedding BLOB, v BLOB, half_vector BLOB, as_text TEXT,"
    " noise BLOB, small BLOB, picture BLOB)"
)
db.execute("CREATE TABLE pairs(a TEXT, b TEXT, embedding, PRIMARY KEY (a, b)) WITHOUT ROWID")
for i in range(30):
    embedding = vector(24) if i not in (5, 6) else vector(12)
    if i == 7:
        embedding = b"\x01\x02\x03"
    if i == 8:
        embedding = None
    db.execute(
        "INSERT INTO docs VALUES (?,?,?,?,?,?,?,?,?)",
        (
            i,
            f"[{i}] is how this text begins",
            embedding,
            vector(10, "<f8"),
            vector(16, "<f2"),
            json.dumps([round(float(x), 4) for x in rng.normal(0, 1, 9)]),
            rng.bytes(64),
            np.arange(i, i + 16, dtype="<i4").tobytes(),
            b"\x89PNG\r\n" + b"1234567890" * 5,
        ),
    )
    if i < 6:
        db.execute("INSERT INTO pairs VALUES (?,?,?)", (str(i), "x", vector(16)))
db.execute("COMMIT")
db.close()

with tempfile.TemporaryDirectory() as directory:
    client = chromadb.PersistentClient(path=directory)
    for name, dimension, count in (("notes", 6, 9), ("papers", 12, 4), ("empty", 0, 0)):
        collection = client.create_collection(name, embedding_function=None)
        if count:
            collection.add(
                ids=[f"{name}-{i}" for i in range(count)],
                embeddings=rng.normal(0, 1, (count, dimension)).astype("float32"),
                metadatas=[{"n": i} for i in range(count)],
            )
    shutil.copy(pathlib.Path(directory) / "chroma.sqlite3", HERE / "chroma.sqlite3")
db = apsw.Connection(str(HERE / "chroma.sqlite3"))
db.execute("PRAGMA page_size = 512; VACUUM")
db.close()
