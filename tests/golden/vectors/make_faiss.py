#!/usr/bin/env python3
"""Makes the FAISS files the tests read: make_faiss.py DIRECTORY

pip: faiss-cpu==1.15.1 numpy==2.4.6
"""
import os
import sys

import faiss
import numpy

D, N = 8, 40
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(7)
X = rng.random((N, D), dtype=numpy.float32)


def write(name, index):
    faiss.write_index(index, os.path.join(OUT, f"faiss_{name}.index"))


def build(recipe, data=X, metric=faiss.METRIC_L2):
    index = faiss.index_factory(data.shape[1], recipe, metric)
    index.train(data)
    index.add(data)
    return index


write("flat_l2", build("Flat"))
write("flat_ip", build("Flat", metric=faiss.METRIC_INNER_PRODUCT))
write("flat_lp", build("Flat", metric=faiss.METRIC_Lp))
marked = X.copy()
marked[3, 2] = numpy.nan
marked[5, 0] = numpy.inf
marked[6, 7] = -numpy.inf
marked[9] = 0
marked[10] = 0
marked[11] = 0
write("flat_marked", build("Flat", marked))
write("empty", faiss.IndexFlatL2(D))

hnsw = faiss.IndexHNSWFlat(D, 4)
hnsw.add(marked)
write("hnsw", hnsw)
mapped = faiss.IndexIDMap2(faiss.IndexFlatL2(D))
mapped.add_with_ids(marked, numpy.arange(100, 100 + N))
write("idmap2", mapped)
outer = faiss.IndexHNSWFlat(D, 4)
nested = faiss.IndexIDMap(outer)
nested.add_with_ids(X, numpy.arange(N))
write("idmap_hnsw", nested)

train = rng.random((256, D), dtype=numpy.float32)
pq = faiss.IndexPQ(D, 2, 4)
pq.train(train)
pq.add(X)
write("pq", pq)
write("sq8", build("SQ8"))
write("sqfp16", build("SQfp16", marked))
lsh = faiss.IndexLSH(D, 16)
lsh.train(X)
lsh.add(X)
write("lsh", lsh)
write("ivf_flat", build("IVF4,Flat"))
ivf = faiss.IndexIVFFlat(faiss.IndexFlatL2(D), D, 4)
ivf.train(X)
finite = marked.copy()
finite[[3, 5, 6]] = 1
ivf.add(finite)
write("ivf_zero", ivf)
sparse = faiss.IndexIVFFlat(faiss.IndexFlatL2(D), D, 16)
sparse.train(X)
sparse.add(X[:2])
write("ivf_sparse", sparse)
ivfpq = faiss.IndexIVFPQ(faiss.IndexFlatL2(D), D, 4, 2, 4)
ivfpq.train(train)
ivfpq.add(X)
write("ivf_pq", ivfpq)
write("ivf_sq8", build("IVF4,SQ8"))
write("ivf_sqfp16", build("IVF4,SQfp16"))
write("pca_flat", build("PCA4,Flat"))
write("opq", build("OPQ2_4,Flat", train))
refine = faiss.IndexRefineFlat(faiss.IndexScalarQuantizer(D, faiss.ScalarQuantizer.QT_8bit))
refine.train(X)
refine.add(X)
write("refine", refine)
nsg = faiss.IndexNSGFlat(4, 8)
nsg.GK = 16
nsg.build_type = 1
many = rng.random((120, 4), dtype=numpy.float32)
nsg.add(many)
write("nsg", nsg)

bits = rng.integers(0, 256, (N, 2), dtype=numpy.uint8)
bits[4] = 0


def write_binary(name, index):
    index.add(bits)
    faiss.write_index_binary(index, os.path.join(OUT, f"faiss_{name}.index"))


write_binary("binary_flat", faiss.IndexBinaryFlat(16))
write_binary("binary_hnsw", faiss.IndexBinaryHNSW(16, 4))
binary_ivf = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(16), 16, 2)
binary_ivf.train(bits)
write_binary("binary_ivf", binary_ivf)

disk = faiss.IndexIVFFlat(faiss.IndexFlatL2(D), D, 4)
disk.train(X)
os.chdir("/tmp")  # the lists' own file is not kept
lists = faiss.OnDiskInvertedLists(4, D * 4, "lists.ivfdata")
disk.replace_invlists(lists, True)
lists.this.disown()
disk.add(X)
write("ivf_ondisk", disk)
os.unlink("lists.ivfdata")
