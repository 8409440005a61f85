#!/usr/bin/env python3
"""Makes the Parquet files the tests read: make_parquet.py DIRECTORY

pip: pyarrow==26.0.1 numpy==2.4.6
"""
import os
import sys

import numpy
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

D, N = 8, 30
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(7)
X = rng.random((N, D), dtype=numpy.float32)
IDS = pa.array(range(N))
VECTORS = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), D)
DOUBLES = pa.FixedSizeListArray.from_arrays(pa.array(X.astype(numpy.float64).ravel()), D)


def write(name, columns, **options):
    pq.write_table(pa.table(columns), os.path.join(OUT, f"parquet_{name}.parquet"), **options)


write("vectors", {"id": IDS, "text": pa.array([f"t{i}" for i in range(N)]), "vector": VECTORS}, row_group_size=20)
write("two", {"a": VECTORS, "b": DOUBLES, "c": pa.array([[1, 2]] * N)})
write("plain", {"vector": VECTORS}, store_schema=False)
write("variable", {"vector": pa.array([row[:3].tolist() for row in X], type=pa.list_(pa.float32()))})
write("bytes", {"vector": pa.array([bytes(128)] * N, type=pa.binary(128)), "digest": pa.array([bytes(32)] * N, pa.binary(32))})
write("nothing", {"id": IDS})


class Kms(pe.KmsClient):
    """Keeps keys as they are: this is about the form of the file."""

    def __init__(self, config):
        pe.KmsClient.__init__(self)

    def wrap_key(self, key, master):
        return key.hex()

    def unwrap_key(self, key, master):
        return bytes.fromhex(key)


factory = pe.CryptoFactory(Kms)
config = pe.EncryptionConfiguration(footer_key="k", column_keys={"k": ["id"]})
properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), config)
write("encrypted", {"id": IDS}, encryption_properties=properties)
