"""What the tests share: a case with a directory, a repository and a cache of its own; running snap; making and comparing
data."""
import base64
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import struct
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SNAP = os.path.abspath(os.environ.get("SNAP_BIN") or os.path.join(ROOT, "build", "snap"))
SANITIZED = os.environ.get("SNAP_SANITIZED") == "1"
LONG = os.environ.get("SNAP_TEST_LONG") == "1"
TIMEOUT = 300


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.raw = args, code, out
        self.out = out.decode("utf-8", "surrogateescape")
        self.err = err.decode("utf-8", "surrogateescape")

    def lines(self):
        """The JSON values on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def last(self):
        return json.loads(self.out.rstrip("\n").splitlines()[-1])

    def doc(self):
        return json.loads(self.out)

    def __str__(self):
        args = " ".join(os.fsdecode(a) for a in self.args)
        return f"\n$ snap {args}\nexit status {self.code}\n{self.out[-3000:]}\n{self.err[:3000]}"


class Case(unittest.TestCase):
    init_repo = True
    maxDiff = 4000

    def setUp(self):
        self.dir = os.path.realpath(tempfile.mkdtemp(prefix="snap-test-"))
        self.addCleanup(self.remove_dir)
        self.repo = self.path("repo")
        self.cache = self.path("cache")
        self.key = self.path("key")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("SNAP_") and k != "NO_COLOR"}
        with open(self.path("empty.conf"), "w"):
            pass
        self.env.update(SNAP_REPOSITORY=self.repo, SNAP_CACHE_DIR=self.cache, SNAP_KEY_FILE=self.key,
                        SNAP_CONFIG=self.path("empty.conf"))
        if self.init_repo:
            self.snap("init")

    def remove_dir(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    # --- running -----------------------------------------------------------------------------------------------------

    def environment(self, env):
        merged = dict(self.env)
        for k, v in (env or {}).items():
            if v is None:
                merged.pop(k, None)
            else:
                merged[k] = v
        return merged

    def run_snap(self, *args, env=None, cwd=None, stdin=subprocess.DEVNULL, prefix=(), timeout=TIMEOUT, **kwargs):
        """Run it, whatever the outcome."""
        p = subprocess.run([*prefix, SNAP, *args], env=self.environment(env), cwd=cwd or self.dir, stdin=stdin,
                           stdout=kwargs.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, timeout=timeout, **kwargs)
        result = Result(args, p.returncode, p.stdout or b"", p.stderr)
        for word in ("AddressSanitizer", "runtime error:", "LeakSanitizer", "internal error"):
            if word in result.err:
                self.fail(str(result))
        return result

    def start_snap(self, *args, env=None, **kwargs):
        p = subprocess.Popen([SNAP, *args], env=self.environment(env), cwd=self.dir, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
        self.addCleanup(self.end, p)
        return p

    @staticmethod
    def end(p):
        if p.poll() is None:
            p.kill()
        p.wait()
        for stream in (p.stdin, p.stdout, p.stderr):
            if stream:
                stream.close()

    def snap(self, *args, code=0, **kwargs):
        """Run it and expect the exit status."""
        r = self.run_snap(*args, **kwargs)
        self.assertEqual(r.code, code, str(r))
        if code not in (0, 3):
            self.assertIn("snap: ", r.err, "an error says what happened" + str(r))
        return r

    def fails(self, code, name, *args, **kwargs):
        """Expect an error: its exit status and its name, as the last line of JSON and in words."""
        r = self.snap("--json", *args, code=code, **kwargs)
        last = r.last()
        self.assertEqual(last.get("message_type"), "error", str(r))
        self.assertEqual((last["code"], last["name"]), (code, name), str(r))
        self.assertTrue(last["message"], str(r))
        self.assertIsInstance(last["hint"], str)
        return r

    def query(self, *args, **kwargs):
        return self.snap("--json", *args, **kwargs).doc()

    def summary(self, *args, **kwargs):
        r = self.snap("--json", *args, **kwargs)
        last = r.last()
        self.assertEqual(last.get("message_type"), "summary", str(r))
        return last

    def backup(self, *args, **kwargs):
        """The id of the one snapshot taken."""
        return self.summary("backup", *args, **kwargs)["snapshot_id"]

    def ids(self, *args):
        return [s["id"] for s in self.query("list", *args)]

    def as_nobody(self):
        """What to put before the program to run it as someone who may read the repository and the key, and no more."""
        if os.geteuid() != 0:
            self.skipTest("needs root to become someone else")
        for d, _, names in os.walk(self.repo):
            for n in [""] + names:
                os.chmod(os.path.join(d, n), 0o444 if n else 0o555)
        os.chmod(self.dir, 0o755)
        os.chown(self.key, 65534, 65534)
        os.makedirs(self.path("nobody"), exist_ok=True)
        os.chown(self.path("nobody"), 65534, 65534)
        return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

    # --- data --------------------------------------------------------------------------------------------------------

    def write(self, path, data=b"", mode=None):
        path = os.path.join(os.fsencode(self.dir), os.fsencode(path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
        if mode is not None:
            os.chmod(path, mode)
        return os.fsdecode(path)

    def config(self, text):
        return self.write("snap.conf", text.replace("@", self.dir))

    def database(self, name="app.db", rows=500, wal=True, page_size=4096, seed=1):
        """A database with an invariant: sum(v) of table a is minus that of table b."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        db = sqlite3.connect(path)
        db.execute(f"pragma page_size={page_size}")
        if wal:
            db.execute("pragma journal_mode=wal")
        db.execute("create table a(id integer primary key, v integer, t text)")
        db.execute("create table b(id integer primary key, v integer)")
        for i in range(rows):
            v = (i * 7919 + seed * 104729) % 100003
            db.execute("insert into a(v, t) values(?, ?)", (v, hashlib.sha256(b"%d-%d" % (i, seed)).hexdigest() * 2))
            db.execute("insert into b(v) values(?)", (-v,))
        db.commit()
        db.close()
        return path

    def change(self, path, sql="update a set t = 'changed' where id % 50 = 0"):
        db = sqlite3.connect(path, timeout=30)
        db.execute(sql)
        db.commit()
        db.close()

    def dump_rows(self, path):
        """All that SQL can see of a database, after an integrity check."""
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            self.assertEqual(db.execute("pragma integrity_check").fetchall(), [("ok",)])
            return hashlib.sha256("\n".join(db.iterdump()).encode()).hexdigest()
        finally:
            db.close()

    def check_invariant(self, path):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            self.assertEqual(db.execute("pragma integrity_check").fetchall(), [("ok",)])
            total = db.execute("select (select coalesce(sum(v), 0) from a) + (select coalesce(sum(v), 0) from b)")
            self.assertEqual(total.fetchone(), (0,))
        finally:
            db.close()

    def vectors(self, name, rows=200, dim=64, seed=3):
        data = bytearray()
        x = seed
        for _ in range(rows * dim):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
            data += struct.pack("<f", x / 0x7FFFFFFF - 0.5)
        return self.write(name, bytes(data))

    def describe(self, path):
        """Everything of a tree that a restore has to bring back, as a comparable value."""
        top = os.fsencode(path)
        found, groups = {}, {}
        for p in [top] + [os.path.join(d, n) for d, dirs, files in os.walk(top) for n in dirs + files]:
            st = os.lstat(p)
            rel = os.path.relpath(p, top)
            what = [stat.S_IFMT(st.st_mode), st.st_mode & 0o7777, st.st_uid, st.st_gid]
            if not stat.S_ISDIR(st.st_mode) and st.st_nlink > 1:
                groups.setdefault((st.st_dev, st.st_ino), []).append(rel)
            what.append(st.st_mtime_ns)
            if stat.S_ISREG(st.st_mode):
                with open(p, "rb") as f:
                    what += [st.st_size, hashlib.sha256(f.read()).hexdigest()]
            elif stat.S_ISLNK(st.st_mode):
                what.append(os.readlink(p))
            elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
                what.append(st.st_rdev)
            try:
                what.append(sorted((n, os.getxattr(p, n, follow_symlinks=False))
                                   for n in os.listxattr(p, follow_symlinks=False)))
            except OSError:
                what.append([])
            found[rel] = what
        return found, sorted(sorted(g) for g in groups.values())

    def same_tree(self, a, b):
        (fa, ga), (fb, gb) = a, b
        self.assertEqual(sorted(fa), sorted(fb))
        for name in fa:
            self.assertEqual(fa[name], fb[name], os.fsdecode(name))
        self.assertEqual(ga, gb)

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    @staticmethod
    def exact(doc, key):
        """The bytes of a name in JSON."""
        if key + "_b64" in doc:
            return base64.b64decode(doc[key + "_b64"])
        return doc[key].encode()

    def repo_state(self):
        """Names and bytes of all that is in the repository."""
        return {os.path.relpath(os.path.join(d, n), self.repo): self.read(os.path.join(d, n))
                for d, _, names in os.walk(self.repo) for n in names if n != "lock"}


def namespaces_work():
    p = subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL)
    return p.returncode == 0
