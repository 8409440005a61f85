#!/usr/bin/env python3
"""Runs restic, borg and snap in turn on the same data and prints one table. See docs/benchmarks.md."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import figures  # noqa: E402
import report  # noqa: E402
import tools  # noqa: E402
import vectors  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
SIZES = {"small": 0.05, "normal": 1.0}
NEED_BYTES = 15e9
BIG_FACTOR = 8
BIG_NEED_BYTES = 45e9


def arguments():
    p = argparse.ArgumentParser(prog="./dev bench")
    p.add_argument("--size", choices=SIZES, default="normal")
    p.add_argument("--scale", type=float, help="size of the data as a factor, instead of --size")
    p.add_argument("--runs", type=int, help="rounds (default 5; 3 where one program takes over a minute)")
    p.add_argument("--days", type=int, default=120, help="days of churn (default 120)")
    p.add_argument("--only", choices=["main", "churn", "files", "vectors", "big"], action="append")
    p.add_argument("--big", action="store_true", help="also snap alone on data 8 times as large (45 GB of disk)")
    p.add_argument("--tools", default="restic,borg,snap")
    p.add_argument("--dir", help="where to work; default $TMPDIR or /var/tmp")
    p.add_argument("--snap", default=os.path.join(ROOT, "build", "snap"), help="the program to measure")
    p.add_argument("--gen", default=os.path.join(ROOT, "build", "tests", "bench", "bench_gen"))
    p.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    p.add_argument("--values", metavar="FILE", help="write every single value to FILE as JSON")
    options = p.parse_args()
    options.only = options.only or ["main", "churn", "files", "vectors"] + (["big"] if options.big else [])
    options.scale = options.scale or SIZES[options.size]
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def big_group(bench):
    """snap alone, one run each, on everything eight times as large."""
    alone = figures.Bench(bench.work, [tools.Snap], bench.generator, bench.scale, 1, bench.say)
    alone.values = bench.values
    figures.main_group(alone, report.BIG, bench.scale * BIG_FACTOR)
    figures.files_group(alone, report.BIG, bench.scale * BIG_FACTOR)


def measure(bench, options):
    if "main" in options.only:
        figures.main_group(bench)
    if "churn" in options.only:
        figures.churn_group(bench, options.days)
    if "files" in options.only:
        figures.files_group(bench)
    if "vectors" in options.only:
        vectors.vectors_group(bench)
    if "big" in options.only:
        big_group(bench)


def main():
    options = arguments()
    chosen = [tools.TOOLS[name] for name in options.tools.split(",")]
    tools.Snap.program = os.path.abspath(options.snap)
    parent = options.dir or os.environ.get("TMPDIR") or "/var/tmp"
    need = (BIG_NEED_BYTES if "big" in options.only else NEED_BYTES) * options.scale
    if shutil.disk_usage(parent).free < need:
        sys.exit(f"bench: {parent} has less than {need / 1e9:.0f} GB free; name another place with --dir")
    work = tempfile.mkdtemp(prefix="snap-bench-", dir=parent)
    try:
        bench = figures.Bench(work, chosen, os.path.abspath(options.gen), options.scale, options.runs, say)
        measure(bench, options)
        text = report.table(bench)
        print(text, end="")
        if options.values:
            with open(options.values, "w") as f:
                json.dump({"values": bench.values.seen, "rss_kib": bench.values.rss}, f, indent=1)
        if options.write:
            report.write_between_markers(os.path.join(ROOT, "docs", "benchmarks.md"), text)
    except (tools.Failed, OSError, subprocess.SubprocessError) as e:
        sys.exit(f"bench: {e}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
