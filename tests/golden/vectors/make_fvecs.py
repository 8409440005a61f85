#!/usr/bin/env python3
"""Makes the .fvecs, .bvecs, .ivecs, .fbin and raw files the tests read: make_fvecs.py DIRECTORY

FAISS writes .fvecs and .ivecs; the others are written by NumPy as their descriptions say.

pip: faiss-cpu==1.15.1 numpy==2.4.6
"""
import os
import sys

import numpy
from faiss.contrib.vecs_io import fvecs_write, ivecs_write

D, N = 6, 20
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(7)
X = rng.random((N, D), dtype=numpy.float32)
X[3, 5] = numpy.nan
X[7, 1] = X[11, 2] = numpy.inf
X[0] = X[19] = X[5] = 0
X[5, 1] = -0.0
B = rng.integers(0, 256, (N, D), dtype=numpy.uint8)
B[4] = 0


def path(name):
    return os.path.join(OUT, name)


def write_fbin(name, array):
    with open(path(name), "wb") as f:
        numpy.array(array.shape, dtype="<u4").tofile(f)
        array.tofile(f)


fvecs_write(path("rows.fvecs"), X)
ivecs_write(path("rows.ivecs"), B.astype(numpy.int32))
numpy.hstack([numpy.full((N, 1), D, dtype="<i4").view(numpy.uint8), B]).tofile(path("rows.bvecs"))
with open(path("mixed.fvecs"), "wb") as out:
    for i, dimension in enumerate([4, 4, 9, 4, 6, 6, 1]):  # the first four are as long as five of 4 would be
        numpy.array([dimension], dtype="<i4").tofile(out)
        row = rng.random(dimension, dtype=numpy.float32)
        if i in (1, 6):
            row[:] = 0
        if i == 2:
            row[8] = numpy.nan
        row.tofile(out)
write_fbin("rows.fbin", X)
write_fbin("rows.u8bin", B)
write_fbin("rows.i8bin", B.view(numpy.int8))
X.tofile(path("rows.f32"))
X.astype(numpy.float16).tofile(path("rows.f16"))
