"""The repository, its key and its cache may lie in what is backed up: they are left out, or never replaced."""
import os
import shutil
import subprocess
import unittest

from harness import SNAP, Case, namespaces_work


class InSource(Case):
    """/srv with data, and with backup/repo in it."""
    init_repo = False

    def setUp(self):
        super().setUp()
        self.repo = self.path("srv/backup/repo")
        self.env["SNAP_REPOSITORY"] = self.repo
        os.makedirs(os.path.dirname(self.repo))
        self.snap("init")
        self.srv = self.path("srv")
        self.file = self.write("srv/data/a", b"1")

    def backups(self):
        ids = []
        for i in range(3):
            self.write("srv/data/a", b"%d" % i)
            ids.append(self.backup(self.srv))
        return ids

    def refused(self, *args, naming=(), **kwargs):
        before, data = self.repo_state(), self.read(self.file)
        r = self.fails(14, "target-in-use", *args, **kwargs)
        for text in naming:
            self.assertIn(text, r.last()["message"])
        self.assertEqual(self.repo_state(), before)
        self.assertEqual(self.read(self.file), data)
        return r.last()

    def test_backup_leaves_it_out(self):
        r = self.snap("backup", self.srv)
        self.assertEqual(r.err.count("is the repository itself and was left out"), 1, str(r))
        self.assertIn(self.repo, r.err)
        self.snap("restore", "latest", "--target", self.path("out"))
        out = self.path("out") + self.srv
        self.assertEqual(self.read(out + "/data/a"), b"1")
        self.assertEqual(os.listdir(out + "/backup"), [])
        self.snap("backup", self.srv)
        self.snap("verify")

    def test_backup_by_another_way(self):
        os.rename(self.path("srv/backup"), self.path("srv/real"))
        os.symlink("real", self.path("srv/backup"))
        r = self.snap("backup", self.srv)
        self.assertIn(self.path("srv/real/repo") + " is the repository itself", r.err)

    def test_backup_of_itself(self):
        before = self.repo_state()
        self.fails(2, "usage", "backup", self.repo)
        self.fails(2, "usage", "backup", self.path("srv/data"), self.repo + "/packs")
        self.fails(2, "usage", "backup", "--dry-run", self.repo + "/config")
        os.symlink(self.repo, self.path("way"))
        self.fails(2, "usage", "backup", self.path("way/packs"))
        self.assertEqual(self.repo_state(), before)

    def test_backup_leaves_the_cache_out(self):
        self.env["SNAP_CACHE_DIR"] = self.path("srv/cache")
        self.snap("backup", self.srv)
        r = self.snap("backup", self.srv)
        self.assertIn("is the cache of the repository and was left out", r.err)
        self.snap("restore", "latest", "--target", self.path("out"))
        self.assertEqual(os.listdir(self.path("out") + self.path("srv/cache")), [])

    def test_restore_over_it(self):
        self.backups()
        for more in ([], ["--force"], ["--dry-run"], ["--forensic", "none"], ["--forensic", "aside"],
                     ["--include", self.path("srv/backup")]):
            last = self.refused("restore", "latest~1", "--yes", *more, naming=[self.path("srv"), self.repo])
            self.assertIn("--include", last["hint"])
            self.assertIn("--target", last["hint"])
        self.assertEqual(len(self.ids()), 3)

    def test_restore_by_another_way(self):
        """The repository is named by a link, and lies in the target all the same."""
        self.backups()
        os.symlink(self.path("srv/backup"), self.path("way"))
        self.env["SNAP_REPOSITORY"] = self.path("way/repo")
        self.refused("restore", "latest~1", "--yes")

    def test_restore_by_a_mount(self):
        if os.geteuid() != 0 or not namespaces_work():
            self.skipTest("needs a mount namespace")
        self.backups()
        os.mkdir(self.path("mnt"))
        script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        self.env["SNAP_REPOSITORY"] = self.path("mnt/repo")
        for mode in ("copy", "aside", "none"):
            self.refused("restore", "latest~1", "--yes", "--forensic", mode,
                         prefix=("unshare", "-m", "sh", "-c", script, "sh", self.path("srv/backup"), self.path("mnt")))

    def test_restore_beside_it(self):
        self.backups()
        self.snap("restore", "latest~1", "--yes", "--include", self.path("srv/data"))
        self.assertEqual(self.read(self.file), b"1")
        self.snap("undo", "--yes")
        self.assertEqual(self.read(self.file), b"2")
        self.snap("restore", "latest~2", "--target", self.path("out"))
        self.assertEqual(self.read(self.path("out") + self.file), b"0")
        self.snap("verify")

    def test_undo_over_it(self):
        """The repository came to lie in what a restore has replaced."""
        self.backups()
        inner, elsewhere = self.path("srv/data"), self.path("elsewhere")
        self.snap("restore", "latest~1", "--yes", "--include", inner)
        os.rename(self.repo, inner + "/repo")
        self.repo = self.env["SNAP_REPOSITORY"] = inner + "/repo"
        self.refused("undo", "--yes", naming=[inner, self.repo])
        self.refused("undo", "--yes", "--dry-run")
        os.rename(self.repo, elsewhere)
        self.repo = self.env["SNAP_REPOSITORY"] = elsewhere
        self.snap("undo", "--yes")
        self.assertEqual(self.read(self.file), b"2")

    def cut_off(self, *args):
        """A restore that is killed after its intent is in the log."""
        for n in range(1, 40):
            subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e",
                            f"inject=renameat2:signal=KILL:when={n}", SNAP, "-q", "restore", *args], env=self.env,
                           cwd=self.dir, capture_output=True, timeout=120)
            if "was cut off" in self.run_snap("list").err:
                return
            self.write("srv/data/a", b"2")
        self.fail("no restore was cut off")

    def test_cut_off_over_it(self):
        if not shutil.which("strace"):
            self.fail("needs strace")
        self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        first = self.backups()[1]
        inner, elsewhere = self.path("srv/data"), self.path("elsewhere")
        for mode in ("copy", "none"):
            for back, content in ((("undo", "--yes"), b"2"), (("restore", "--resume", "--yes"), b"1")):
                with self.subTest(mode=mode, back=back):
                    self.write("srv/data/a", b"2")
                    self.cut_off(first, "--yes", "--forensic", mode, "--include", inner)
                    os.rename(self.repo, inner + "/repo")
                    self.repo = self.env["SNAP_REPOSITORY"] = inner + "/repo"
                    last = self.refused(*back, naming=[inner, self.repo])
                    self.assertIn("Move", last["hint"])
                    os.rename(self.repo, elsewhere)
                    self.repo = self.env["SNAP_REPOSITORY"] = elsewhere
                    self.snap(*back)
                    self.assertEqual(self.read(self.file), content)

    def test_target_in_it(self):
        self.backups()
        os.symlink(self.repo + "/packs", self.path("way"))
        for target in (self.repo + "/new", self.repo + "/packs/new/deeper", self.path("way/new/deeper"),
                       self.path("cache/new")):
            self.refused("restore", "latest", "--target", target)
            self.refused("restore", "latest", "--target", target, "--dry-run")
            self.assertFalse(os.path.lexists(target))

    def test_key_file(self):
        os.rename(self.key, self.path("srv/data/key"))
        self.key = self.env["SNAP_KEY_FILE"] = self.path("srv/data/key")
        self.backups()
        for path in (self.path("srv/data"), self.key):
            self.refused("restore", "latest~1", "--yes", "--include", path, naming=[self.key])
        self.refused("restore", "latest~1", "--yes", "--include", self.path("srv/data"),
                     env={"SNAP_KEY_FILE": "srv/data/key"})
        self.snap("restore", "latest~1", "--yes", "--include", self.file)
        self.assertEqual(self.read(self.file), b"1")

    def test_cache(self):
        self.env["SNAP_CACHE_DIR"] = self.path("srv/data/cache")
        self.backups()
        r = self.snap("restore", "latest~1", "--yes", "--include", self.path("srv/data"))
        self.assertIn("holds the cache", r.err)
        self.assertEqual(self.read(self.file), b"1")
        self.snap("undo", "--yes")
        self.assertEqual(self.read(self.file), b"2")
        self.snap("verify")
        self.refused("restore", "latest~1", "--yes", "--include", self.path("srv/data/cache"))


class Messages(Case):
    def as_owner(self):
        """Someone who may write the repository, but not read what is root's."""
        nobody = self.as_nobody()
        for top in (self.repo, self.cache):
            for d, _, files in os.walk(top):
                for n in [""] + files:
                    os.chown(os.path.join(d, n), 65534, 65534)
                    os.chmod(os.path.join(d, n), 0o600 if n else 0o700)
        return nobody

    def test_database_that_cannot_be_read(self):
        db = self.database(rows=50)
        conf = self.config(f"[source db]\npath = {db}\ntype = sqlite\n")
        os.chmod(conf, 0o644)
        env = {"SNAP_CONFIG": conf}
        self.snap("backup", env=env)
        os.chmod(db, 0)
        r = self.run_snap("backup", env=env, prefix=self.as_owner())
        self.assertIn(r.code, (1, 3), str(r))
        self.assertNotIn("stored as plain bytes", r.err)
        self.assertNotIn("is empty now", r.err)
        self.assertIn("Permission denied", r.err)

    def test_undo_advises_what_it_can(self):
        self.write("t/one", b"1")
        self.write("t/locked", b"x")
        for top, _, names in os.walk(self.path("t")):
            for n in [""] + names:
                os.chown(os.path.join(top, n), 65534, 65534)
        nobody = self.as_owner()
        os.chown(self.dir, 65534, 65534)
        self.snap("backup", self.path("t"), prefix=nobody)
        self.snap("restore", "latest", "--yes", prefix=nobody)
        os.chown(self.path("t/locked"), 0, 0)
        os.chmod(self.path("t/locked"), 0)
        r = self.run_snap("--json", "restore", "latest", "--yes", prefix=nobody)
        self.assertIn("--forensic=aside", r.last()["hint"], str(r))
        r = self.run_snap("--json", "undo", "--yes", prefix=nobody)
        self.assertEqual(r.last()["name"], "source-unreadable", str(r))
        self.assertNotIn("--forensic", r.last()["hint"])
        self.assertIn("snap undo", r.last()["hint"])


if __name__ == "__main__":
    unittest.main()
