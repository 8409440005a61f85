#!/usr/bin/env python3
"""Makes the NumPy files the tests read: make_numpy.py DIRECTORY

pip: numpy==2.4.6 ml_dtypes==0.6.0
"""
import io
import os
import struct
import sys
import zipfile

import ml_dtypes
import numpy

D, N = 6, 20
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(7)
X = rng.random((N, D), dtype=numpy.float32) - numpy.float32(0.5)
# 2 rows with NaN, 3 with an infinity (one of them with NaN too), 4 of zeros of either sign.
X[3, 5] = X[7, 0] = numpy.nan
X[7, 1] = X[11, 2] = numpy.inf
X[12, 4] = -numpy.inf
X[0] = X[19] = 0
X[5] = X[6] = -0.0
with numpy.errstate(invalid="ignore"):
    WHOLE = numpy.nan_to_num(X * 100, nan=1, posinf=1, neginf=1).astype(numpy.int16)


def path(name):
    return os.path.join(OUT, name)


def write(name, array, version=None):
    with open(path(f"numpy_{name}.npy"), "wb") as f:
        numpy.lib.format.write_array(f, array, version)


for kind in ("f2", "f4", "f8"):
    write(kind, X.astype("<" + kind))
    write(kind + "_big", X.astype(">" + kind))
for kind in ("i1", "u1", "i2", "i4", "u4", "i8"):
    write(kind, WHOLE.astype(kind))
write("i4_big", WHOLE.astype(">i4"))
write("bool", WHOLE != 0)
write("complex", X.astype("<c8"))
write("bfloat16", X.astype(ml_dtypes.bfloat16))  # is written as bytes without a type
write("text", numpy.array([["ab", "c"], ["d", "efg"]]))
write("dates", numpy.array(["2026-01-01", "2026-01-02"], dtype="<M8[D]"))
write("v2", X, (2, 0))
write("v3", X, (3, 0))
write("fortran", numpy.asfortranarray(X))
write("fortran_f8_big", numpy.asfortranarray(X.astype(">f8")))
write("fortran_i2", numpy.asfortranarray(WHOLE))
write("one", X[3])
write("scalar", numpy.float32(3))
write("three", X.reshape(4, 5, D))
write("empty", X[:0])
write("no_columns", X[:, :0])
write("record", numpy.zeros(3, dtype=[("id", "<i8"), ("v", "<f4", (4,)), ("in", [("a", "|u1"), ("b", "<U3")])]))
write("titled", numpy.zeros(2, dtype=[(("a title", "x"), "<f4"), ("y", "<i2")]))
write("objects", numpy.array([{"a": 1}, None], dtype=object))
with open(path("numpy_two.npy"), "wb") as out:
    numpy.save(out, X)
    numpy.save(out, WHOLE)

numpy.savez(path("numpy_stored.npz"), embeddings=X, ids=numpy.arange(N))
numpy.savez_compressed(path("numpy_deflated.npz"), a=X, b=X.astype(">f8"), f=numpy.asfortranarray(X), w=WHOLE[:, :3],
                       ids=numpy.arange(N), names=numpy.array([{"x": 1}], dtype=object), none=X[:0])
numpy.savez(path("numpy_nothing.npz"))
numpy.savez_compressed(path("numpy_zeros.npz"), z=numpy.zeros((50000, 32), dtype=numpy.float32))
numpy.savez(path("numpy_no_columns.npz"), e=X[:, :0])

# A member of 1 MB of which its header and the archive say that it has 1,408 bytes.
head = io.BytesIO()
numpy.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (10, 32)})
with zipfile.ZipFile(path("numpy_lies.npz"), "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr(zipfile.ZipInfo("z.npy"), head.getvalue() + bytes(1000000), zipfile.ZIP_DEFLATED)
with open(path("numpy_lies.npz"), "r+b") as f:
    raw = f.read()
    for at in (22, raw.index(b"PK\1\2") + 24):
        f.seek(at)
        f.write(struct.pack("<I", len(head.getvalue()) + 10 * 32 * 4))
