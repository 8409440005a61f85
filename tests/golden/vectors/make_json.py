#!/usr/bin/env python3
"""Writes the JSON fixtures beside this file.

pip install numpy==2.2.6
"""
import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
rng = np.random.default_rng(7)


def vectors(count, dimension):
    return [[round(float(x), 6) for x in row] for row in rng.normal(0, 0.1, (count, dimension))]


def write(name, value, **options):
    (HERE / name).write_text(json.dumps(value, **options), encoding="utf-8")


write("arrays.json", np.round(rng.normal(0, 0.1, (5, 16)), 6).tolist())
write("ids.json", {"vectors": {f"doc-{i}": v for i, v in enumerate(vectors(20, 12))}}, indent=1)
write(
    "response.json",
    {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors(3, 24))],
        "usage": {"tokens": [1, 2, 3, 4, 5, 6, 7, 8, 9]},
    },
)
odd = vectors(6, 8)
odd[1][3] = float("nan")
odd[2][0] = float("-inf")
odd[3] = [0.0] * 8
write("odd.json", [{"id": i, "text": "naïve \"text\" ☃ 🙂", "vector": v} for i, v in enumerate(odd)], ensure_ascii=False)
with open(HERE / "mixed.jsonl", "w", encoding="utf-8") as out:
    for i, v in enumerate(vectors(4, 16) + vectors(2, 10)):
        out.write(json.dumps({"id": f"r{i}", "embedding": v, "tags": ["a", "ü"]}) + "\n")
write("settings.json", {"name": "x", "ports": [80, 443], "nested": {"features": ["a"], "values": [1, 2]}})
