#!/usr/bin/env python3
"""Makes the Lance datasets the tests read: make_lance.py DIRECTORY

pip: pylance==14.0.2 pyarrow==26.0.1 numpy==2.4.6
"""
import os
import shutil
import sys

import lance
import numpy
import pyarrow as pa

D, N = 8, 30
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(7)
X = rng.random((N, D), dtype=numpy.float32)
TABLE = pa.table({
    "id": pa.array(range(N)),
    "text": pa.array([f"t{i}" for i in range(N)]),
    "vector": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), D),
})


def fresh(name):
    path = os.path.join(OUT, name)
    shutil.rmtree(path, ignore_errors=True)
    return path


path = fresh("lance_new")
lance.write_dataset(TABLE, path, max_rows_per_file=20)
dataset = lance.write_dataset(TABLE.slice(0, 5), path, mode="append")
dataset.delete("id = 3")
lance.write_dataset(TABLE.slice(0, 10), fresh("lance_v20"), data_storage_version="2.0", enable_v2_manifest_paths=False)
lance.write_dataset(TABLE.select(["id"]), fresh("lance_nothing"))
for name in os.listdir(OUT):
    if name.startswith("lance_"):  # nobody needs these to read
        shutil.rmtree(os.path.join(OUT, name, "_transactions"), ignore_errors=True)
