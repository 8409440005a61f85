#!/usr/bin/env python3
"""Makes the hnswlib files the tests read: make_hnswlib.py DIRECTORY

pip: hnswlib==0.8.0 numpy==2.4.6
"""
import os
import sys

import hnswlib
import numpy

D, N = 8, 30
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(7)
X = rng.random((N, D), dtype=numpy.float32)


def write(name, data, room, deleted=()):
    index = hnswlib.Index(space="l2", dim=D)
    index.init_index(max_elements=room, M=4, ef_construction=20, random_seed=3)
    if len(data):
        index.add_items(data, numpy.arange(len(data)) + 1000, num_threads=1)
    for label in deleted:
        index.mark_deleted(label)
    index.save_index(os.path.join(OUT, f"hnswlib_{name}.bin"))


write("full", X, N)
write("room", X, 2 * N)
write("empty", X[:0], 10)
write("deleted", X, N, [1003, 1004])
marked = X.copy()
marked[1] = 0
marked[2, 1] = numpy.nan
marked[4, 7] = numpy.inf
write("marked", marked, N)
