"""What goes wrong around the program: full disks, several at once, caches lost, configuration and locks."""
import json
import os
import shutil
import signal
import subprocess
import time

import harness
from harness import Case


class Catalog(Case):
    def setUp(self):
        super().setUp()
        self.one = self.write("one", os.urandom(200000))
        self.a = self.backup(self.one, "--tag", "t", "--hold", "h1")
        self.write("one", os.urandom(100000))
        self.b = self.backup(self.one)
        self.snap("forget", self.b)
        self.snap("verify")
        self.lists = self.query("list"), self.query("list", "--deleted"), self.query("log")

    def same(self):
        self.assertEqual((self.query("list"), self.query("list", "--deleted"), self.query("log")), self.lists)

    def catalog_files(self):
        return [os.path.join(d, n) for d, _, names in os.walk(self.cache) for n in names]

    def test_private(self):
        for d, dirs, names in os.walk(self.cache):
            for n in dirs + names:
                self.assertEqual(os.stat(os.path.join(d, n)).st_mode & 0o077, 0, n)
        self.assertEqual(os.stat(self.cache).st_mode & 0o077, 0)

    def test_deleted(self):
        shutil.rmtree(self.cache)
        self.same()

    def test_rebuilt(self):
        s = self.summary("rebuild")
        self.assertEqual(s["message_type"], "summary")
        self.same()
        self.snap("backup", self.one)

    def test_corrupt(self):
        for path in self.catalog_files():
            if path.endswith("catalog.db"):
                size = os.stat(path).st_size
                for data in (os.urandom(size), b"", b"SQLite format 3\0" + os.urandom(size)):
                    with open(path, "wb") as f:
                        f.write(data)
                    self.same()
                with open(path, "r+b") as f:
                    f.seek(size // 2)
                    f.write(os.urandom(2000))
        r = self.run_snap("--json", "list")
        self.assertIn(r.code, (0, 1), str(r))
        self.snap("rebuild")
        self.same()

    def test_from_an_older_state(self):
        saved = self.path("saved")
        shutil.copytree(self.cache, saved)
        c = self.backup(self.one, "--force-read")
        shutil.rmtree(self.cache)
        shutil.copytree(saved, self.cache)
        self.assertIn(c, self.ids())

    def test_cannot_be_written(self):
        """Without a place for it, a temporary one serves the run."""
        as_nobody = self.as_nobody()
        env = {"SNAP_CACHE_DIR": self.path("cache2")}
        self.assertEqual([r["id"] for r in self.snap("--json", "list", prefix=as_nobody, env=env).doc()], [self.a])

    def test_restore_works_without_it(self):
        shutil.rmtree(self.cache)
        self.snap("restore", self.a, "--target", self.path("out"))


class Space(Case):
    """A 1 MiB file system, in a mount namespace of the test's own."""
    init_repo = False

    def on_small_disk(self, script, size="1m"):
        if os.geteuid() != 0 or not harness.namespaces_work():
            self.fail("needs root and unshare to make a small file system")
        os.makedirs(self.path("small"), exist_ok=True)
        p = subprocess.run(["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size={size} none "$1" && {script}',
                            harness.SNAP, self.path("small")], env=self.env, capture_output=True, timeout=120, cwd=self.dir)
        return harness.Result([script], p.returncode, p.stdout, p.stderr)

    def test_repository_full(self):
        self.write("little", b"little")
        self.write("big", os.urandom(3 << 20))
        self.env["SNAP_REPOSITORY"] = self.path("small/repo")
        r = self.on_small_disk('"$0" init >/dev/null && "$0" -q backup little && find "$1/repo" -type f | sort > before; '
                               '"$0" --json backup big; echo $? > code; find "$1/repo" -type f | sort > after; '
                               '"$0" -q backup little && "$0" -q verify --read-data && "$0" --json list > list')
        self.assertEqual(self.read(self.path("code")), b"15\n", str(r))
        errors = [json.loads(x) for x in r.out.splitlines() if '"error"' in x]
        self.assertEqual(errors[-1]["name"], "no-space", str(r))
        self.assertEqual(self.read(self.path("after")), self.read(self.path("before")), "no file is left behind")
        with open(self.path("list")) as f:
            self.assertEqual(len(json.load(f)), 2, str(r))

    def test_target_too_small(self):
        self.env["SNAP_REPOSITORY"] = self.path("repo")
        self.write("big", os.urandom(3 << 20))
        self.snap("init")
        self.snap("backup", self.path("big"))
        r = self.on_small_disk('"$0" --json restore latest --target "$1/out"; echo $? > code; ls -A "$1" > left')
        self.assertEqual(self.read(self.path("code")), b"15\n", str(r))
        self.assertEqual(r.last()["name"], "no-space")
        self.assertEqual(self.read(self.path("left")), b"", "space is looked at first")

    def test_in_place_too_small(self):
        self.env["SNAP_REPOSITORY"] = self.path("repo")
        self.snap("init")
        r = self.on_small_disk('mkdir "$1/t" && head -c 700000 /dev/urandom > "$1/t/f" && "$0" -q backup "$1/t" && '
                               'head -c 600000 /dev/urandom > "$1/t/f"; sha256sum < "$1/t/f" > before; '
                               '"$0" --json restore latest --yes; echo $? > code; sha256sum < "$1/t/f" > after; ls -A "$1" > left')
        self.assertEqual(self.read(self.path("code")), b"15\n", str(r))
        self.assertEqual(self.read(self.path("before")), self.read(self.path("after")))
        self.assertEqual(self.read(self.path("left")), b"t\n")

    def test_limit_on_file_size(self):
        self.env["SNAP_REPOSITORY"] = self.path("repo")
        self.write("big", os.urandom(2 << 20))
        self.write("little", b"x")
        self.snap("init")
        p = subprocess.run(["sh", "-c", 'ulimit -f 512; "$0" --json backup big', harness.SNAP], env=self.env, cwd=self.dir,
                           capture_output=True, timeout=60)
        self.assertEqual(p.returncode, 15, p)
        self.snap("backup", self.path("little"))
        self.snap("verify", "--read-data")


class Together(Case):
    def test_two_backups_at_once(self):
        for i in range(4):
            self.write(f"t{i}/data", os.urandom(2 << 20) + b"shared" * 50000)
        runs = [self.start_snap("backup", self.path(f"t{i}")) for i in range(4)]
        for p in runs:
            out, err = p.communicate(timeout=120)
            self.assertEqual(p.returncode, 0, err)
        ids = self.ids()
        self.assertEqual(len(ids), 4)
        for i in ids:
            self.snap("restore", i, "--target", self.path("out", i))
            source = self.query("show", i)["items"][0]["path"]
            self.same_tree(self.describe(source), self.describe(self.path("out", i) + source))
        self.snap("verify", "--read-data")

    def test_two_writers_of_one_source(self):
        """Each may base its deltas on the other's chunks: both stay readable."""
        db = self.database(rows=3000)
        self.snap("backup", db)
        for round_ in range(4):
            self.change(db, f"update a set t = '{round_}' || id where id % 7 = {round_}")
            env = {"SNAP_CACHE_DIR": self.path("cache2")}
            runs = [self.start_snap("backup", db), self.start_snap("backup", db, env=env)]
            for p in runs:
                _, err = p.communicate(timeout=120)
                self.assertEqual(p.returncode, 0, err)
        self.assertEqual(len(self.ids()), 9)
        self.snap("verify", "--read-data", "--databases")

    def test_readers_beside_a_backup(self):
        self.write("big", os.urandom(30 << 20))
        self.snap("backup", self.write("one", b"1"))
        p = self.start_snap("backup", self.path("big"))
        while p.poll() is None:
            self.snap("list")
            self.snap("verify")
        self.assertEqual(p.returncode, 0)

    def test_suspended_holder(self):
        """A process that sleeps for a day does no harm to others, nor they to it."""
        self.write("big", os.urandom(40 << 20))
        p = self.start_snap("backup", self.path("big"))
        time.sleep(0.1)
        p.send_signal(signal.SIGSTOP)
        self.snap("backup", self.write("one", b"1"), timeout=60)
        p.send_signal(signal.SIGCONT)
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 0, err)
        self.snap("verify", "--read-data")
        self.assertEqual(len(self.ids()), 2)

    def test_killed_holder(self):
        self.write("big", os.urandom(40 << 20))
        p = self.start_snap("backup", self.path("big"))
        time.sleep(0.1)
        p.kill()
        p.communicate()
        self.snap("backup", self.path("big"), timeout=120)
        self.snap("verify", "--read-data")


class Moving(Case):
    def test_source_vanishes_half_way(self):
        for i in range(300):
            self.write(f"t/{i:03}/f", os.urandom(20000))
        p = self.start_snap("--json", "backup", self.path("t"))
        for i in range(299, 0, -1):
            shutil.rmtree(self.path(f"t/{i:03}"), ignore_errors=True)
        out, err = p.communicate(timeout=60)
        self.assertIn(p.returncode, (0, 3), err)
        snap = json.loads(out.splitlines()[-1])["snapshot_id"]
        self.snap("restore", snap, "--target", self.path("out"))
        self.assertTrue(os.path.exists(self.path("out") + self.path("t/000/f")))

    def test_moved_repository(self):
        self.snap("backup", self.write("one", b"1"))
        os.rename(self.repo, self.path("elsewhere"))
        self.assertEqual(len(self.query("list", "--repo", self.path("elsewhere"))), 1)
        self.fails(10, "no-repository", "list")

    def test_copied_repository_with_another_cache(self):
        self.snap("backup", self.write("one", b"1"))
        shutil.copytree(self.repo, self.path("copy"))
        env = {"SNAP_CACHE_DIR": self.path("cache2")}
        self.snap("restore", "latest", "--repo", self.path("copy"), "--target", self.path("out"), env=env)
