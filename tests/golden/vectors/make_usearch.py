#!/usr/bin/env python3
"""Makes the usearch files the tests read: make_usearch.py DIRECTORY

pip: usearch==2.26.6 numpy==2.4.6
"""
import os
import sys

import numpy
from usearch.index import Index

D, N = 16, 20
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(7)
X = rng.random((N, D), dtype=numpy.float32)
X[3] = 0


def write(name, data=X, removed=(), **options):
    index = Index(ndim=D, connectivity=4, **options)
    if len(data):
        index.add(numpy.arange(len(data)), data, threads=1)
    for key in removed:
        index.remove(key)
    index.save(os.path.join(OUT, f"usearch_{name}.usearch"))


marked = X.copy()
marked[1, 1] = numpy.nan
marked[2, 0] = numpy.inf
for kind in ("f64", "f32", "f16", "bf16", "i8"):
    write(kind, marked if kind != "i8" else X, metric="l2sq", dtype=kind)
write("cos", metric="cos", dtype="f32")
write("empty", X[:0], metric="ip", dtype="f32")
write("removed", metric="l2sq", dtype="f32", removed=[5, 6])
write("b1", numpy.packbits(X > 0.5, axis=1), metric="hamming", dtype="b1")
