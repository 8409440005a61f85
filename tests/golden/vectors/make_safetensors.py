#!/usr/bin/env python3
"""Makes the safetensors files the tests read: make_safetensors.py DIRECTORY

pip: safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.6.0
"""
import os
import sys

import ml_dtypes
import numpy
from safetensors.numpy import save_file

D, N = 6, 20
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(7)
X = rng.random((N, D), dtype=numpy.float32)
X[3, 5] = numpy.nan
X[7, 1] = X[11, 2] = numpy.inf
X[0] = X[19] = X[5] = 0


def write(name, tensors, metadata=None):
    save_file(tensors, os.path.join(OUT, name), metadata=metadata)


write("one.safetensors", {"embeddings": X})
write("several.safetensors", {
    "f16": X.astype(numpy.float16), "bf16": X.astype(ml_dtypes.bfloat16), "f64": X.astype(numpy.float64),
    "i8": numpy.ones((3, D), dtype=numpy.int8), "ids": numpy.arange(N), "cube": X.reshape(4, 5, D),
    "flag": numpy.array(True), "none": X[:0], "wört\n": X[:, :2].copy(),
}, {"format": "np", "made": "with \"quotes\" and {braces}"})
write("nothing.safetensors", {})
