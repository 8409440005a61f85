#!/usr/bin/env python3
"""Makes the Chroma directories the tests read: make_chroma.py DIRECTORY

chroma/<uuid> is an index directory alone; chroma_store/ is such a directory with its chroma.sqlite3, made smaller.

pip: chromadb==1.5.9 numpy
"""
import os
import shutil
import sqlite3
import sys
import tempfile

import chromadb
import numpy

D = 8
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(7)
X = rng.random((50, D), dtype=numpy.float32)
X[2] = 0

with tempfile.TemporaryDirectory() as work:
    client = chromadb.PersistentClient(work)
    hnsw = {"space": "l2", "max_neighbors": 4, "ef_construction": 10, "batch_size": 10, "sync_threshold": 20,
            "resize_factor": 1.2}
    docs = client.create_collection("docs", configuration={"hnsw": hnsw})
    for i in range(0, 30, 5):
        docs.add(ids=[f"id{j}" for j in range(i, i + 5)], embeddings=X[i:i + 5])
    docs.delete(ids=["id3", "id4"])
    for i in range(30, 50, 5):
        docs.add(ids=[f"id{j}" for j in range(i, i + 5)], embeddings=X[i:i + 5])
    kept = os.path.join(OUT, "chroma")
    shutil.rmtree(kept, ignore_errors=True)
    os.makedirs(kept)
    for name in os.listdir(work):
        if os.path.isdir(os.path.join(work, name)):
            # The name Chroma gave is random; the tests want one that stays.
            shutil.copytree(os.path.join(work, name), os.path.join(kept, "5f0c9a52-7c1e-4c62-9d0b-0a1b2c3d4e5f"))
    store = os.path.join(OUT, "chroma_store")
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(work, store)
db = sqlite3.connect(os.path.join(store, "chroma.sqlite3"))
db.execute("PRAGMA page_size = 512")
db.execute("VACUUM")
db.close()
