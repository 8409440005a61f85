"""Making a repository, and who can open it."""
import os
import pty
import re
import select
import shutil
import signal
import time

import harness
from harness import Case


class Init(Case):
    init_repo = False

    def test_key_file_is_made(self):
        r = self.summary("init")
        self.assertRegex(r["repository_id"], r"^[0-9a-f]{32}$")
        self.assertTrue(r["recovery_key"])
        self.assertEqual(os.stat(self.key).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.repo).st_mode & 0o077, 0)
        for place in ("packs", "log", "keys"):
            self.assertTrue(os.path.isdir(os.path.join(self.repo, place)), place)

    def test_text_shows_recovery_key_once(self):
        r = self.snap("init")
        self.assertIn("recovery key: ", r.out)
        self.assertIn("elsewhere" if "elsewhere" in r.out else "away from this machine", r.out)
        key = re.search("recovery key: (.*)", r.out).group(1)
        for command in (["key", "list"], ["log"], ["list"]):
            self.assertNotIn(key, self.snap(*command).out)

    def test_existing_key_file_is_used(self):
        self.snap("init")
        before = self.read(self.key)
        self.snap("init", "--repo", self.path("second"))
        self.assertEqual(self.read(self.key), before)
        self.snap("list", "--repo", self.path("second"))

    def test_no_second_repository(self):
        self.snap("init")
        before = self.repo_state()
        self.fails(1, "repository-exists", "init")
        self.assertEqual(self.repo_state(), before)

    def test_directory_that_is_not_empty(self):
        self.write("repo/file", b"mine")
        self.fails(14, "target-exists", "init")
        self.assertEqual(os.listdir(self.repo), ["file"])

    def test_no_secret(self):
        self.fails(2, "no-key", "init", env={"SNAP_KEY_FILE": None})
        self.assertFalse(os.path.exists(self.repo))

    def test_encryption_none(self):
        env = {"SNAP_KEY_FILE": None}
        s = self.summary("init", "--encryption", "none", env=env)
        self.assertIsNone(s["recovery_key"])
        self.write("data", b"x")
        self.snap("backup", self.path("data"), env=env)
        self.assertEqual(len(self.snap("--json", "list", env=env).doc()), 1)

    def test_encryption_none_with_a_key(self):
        self.fails(2, "usage", "init", "--encryption", "none", "--key-file", self.key)
        self.fails(2, "usage", "init", "--encryption", "some")

    def test_a_key_is_never_passed_over(self):
        """Who can write to the place puts an open repository there, or an open slot: a backup with a key goes into neither."""
        self.snap("init")
        none = {"SNAP_KEY_FILE": None}
        other = self.path("other")
        self.snap("-r", other, "init", "--encryption", "none", env=none)
        self.write("data", b"x")
        self.fails(12, "wrong-key", "-r", other, "backup", self.path("data"))
        self.fails(12, "wrong-key", "-r", other, "list")
        slot = os.listdir(os.path.join(other, "keys"))[0]
        shutil.copy(os.path.join(other, "keys", slot), os.path.join(self.repo, "keys", slot))
        self.snap("backup", self.path("data"))
        self.assertEqual(len(self.snap("--json", "list").doc()), 1)
        self.fails(2, "no-key", "list", env=none)

    def test_damaged_key_file(self):
        self.snap("init")
        self.write("key", b"snap-key-1 nonsense\n", 0o600)
        self.fails(2, "bad-key-file", "list")
        os.unlink(self.key)
        r = self.run_snap("list")
        self.assertIn(r.code, (1, 2), str(r))


class Keys(Case):
    def phrase(self, name, text):
        return self.write(name, text + "\n", 0o600)

    def test_wrong_key_file(self):
        self.snap("init", "--repo", self.path("second"), "--key-file", self.path("key2"))
        self.fails(12, "wrong-key", "list", "--key-file", self.path("key2"))

    def test_no_key(self):
        self.fails(2, "no-key", "list", env={"SNAP_KEY_FILE": None})

    def test_exposed_key_file_warns(self):
        os.chmod(self.key, 0o644)
        r = self.snap("list")
        self.assertIn("warning", r.err)
        self.assertIn("chmod 600", r.err)

    def test_passphrase_life(self):
        p1, p2 = self.phrase("p1", "correct horse"), self.phrase("p2", "battery staple")
        self.snap("key", "add", "--new-password-file", p1, "--label", "night shift")
        env = {"SNAP_KEY_FILE": None}
        self.snap("list", "--password-file", p1, env=env)
        self.snap("list", "--password-command", "echo correct horse", env=env)
        self.snap("list", env={"SNAP_KEY_FILE": None, "SNAP_PASSWORD": "correct horse"})
        self.fails(12, "wrong-key", "list", env={"SNAP_KEY_FILE": None, "SNAP_PASSWORD": "wrong"})
        self.assertIn("night shift", self.snap("key", "list").out)
        self.snap("key", "passwd", "--password-file", p1, "--new-password-file", p2, env=env)
        self.fails(12, "wrong-key", "list", "--password-file", p1, env=env)
        self.snap("list", "--password-file", p2, env=env)
        self.snap("list")

    def test_password_command_that_fails(self):
        self.fails(2, "no-key", "list", "--password-command", "exit 7", env={"SNAP_KEY_FILE": None})
        self.fails(2, "no-key", "list", "--password-file", self.path("absent"), env={"SNAP_KEY_FILE": None})
        self.fails(2, "usage", "list", "--password-file", "/x", "--password-command", "y")

    def test_key_file_that_is_none(self):
        os.mkfifo(self.path("fifo"))
        with open(self.path("huge"), "wb") as f:
            f.truncate(2 << 20)
        for name in (self.dir, "/dev/zero", "/dev/null", self.path("fifo"), self.path("huge")):
            self.fails(2, "bad-key-file", "list", "--key-file", name, timeout=20)
            self.fails(2, "bad-key-file", "key", "add", "--new-key-file", name, timeout=20)

    def test_password_from_a_fifo(self):
        self.snap("key", "add", "--new-password-file", self.phrase("p1", "correct horse"))
        fifo, env = self.path("fifo"), {"SNAP_KEY_FILE": None}
        os.mkfifo(fifo)
        self.snap("list", env=env, prefix=("bash", "-c", '"$0" "$@" --password-file <(sleep 0.5; echo correct horse)'))
        self.snap("list", "--password-file", fifo, env=env,
                  prefix=("sh", "-c", 'echo correct horse > "$SNAP_TEST_FIFO" & exec "$0" "$@"'.replace(
                      "$SNAP_TEST_FIFO", fifo)))
        for name in (self.dir, "/dev/zero", "/dev/null"):
            self.fails(2, "no-key", "list", "--password-file", name, env=env, timeout=20)
        for number in (signal.SIGTERM, signal.SIGINT):
            p = self.start_snap("list", "--password-file", fifo, env=env)
            time.sleep(0.5)
            p.send_signal(number)
            self.assertEqual(p.wait(timeout=20), 130)

    def test_second_key_file(self):
        s = self.summary("key", "add", "--new-key-file", self.path("key2"), "--label", "offsite")
        self.assertEqual(os.stat(self.path("key2")).st_mode & 0o777, 0o600)
        self.snap("list", "--key-file", self.path("key2"))
        self.fails(2, "needs-confirmation", "key", "remove", s["id"])
        self.snap("list", "--key-file", self.path("key2"))
        self.snap("key", "remove", s["id"], "--yes")
        self.fails(12, "wrong-key", "list", "--key-file", self.path("key2"))
        self.fails(1, "key-slot", "key", "remove", s["id"], "--yes")

    def test_last_slot_stays(self):
        slots = self.query("key", "list")
        self.assertEqual(sorted(s["kind"] for s in slots), ["key-file", "recovery"])
        own = next(s for s in slots if s["opened_this"])
        other = next(s for s in slots if not s["opened_this"])
        self.snap("key", "remove", other["id"], "--yes")
        self.fails(1, "key-slot", "key", "remove", own["id"], "--yes")
        self.snap("list")

    def test_recovery_key(self):
        text = self.summary("key", "recovery")["recovery_key"]
        paper = self.phrase("paper", text.lower().replace("-", " "))
        self.snap("list", "--recovery-key-file", paper, env={"SNAP_KEY_FILE": None})
        broken = self.phrase("broken", text[:-1] + ("0" if text[-1] != "0" else "1"))
        self.fails(12, "wrong-key", "list", "--recovery-key-file", broken, env={"SNAP_KEY_FILE": None})

    def test_secrets_do_not_leak(self):
        p1 = self.phrase("p1", "sesame-opens-all")
        for args in (["key", "add", "--new-password-file", p1], ["-v", "list", "--password-file", p1],
                     ["key", "list"], ["log"]):
            r = self.run_snap(*args, env={"SNAP_KEY_FILE": None if "--password-file" in args else self.key})
            self.assertEqual(r.code, 0, str(r))
            self.assertNotIn("sesame", r.out + r.err)

    def ask(self, args, answers, env):
        """Run on a terminal; wait for each prompt, then type its answer."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.dir)
            os.execve(harness.SNAP, [harness.SNAP, *args], self.environment(env))
        seen, deadline = b"", time.monotonic() + 60
        for prompt, answer in answers:
            start = len(seen)
            while prompt not in seen[start:] and time.monotonic() < deadline:
                if select.select([fd], [], [], 1)[0]:
                    seen += os.read(fd, 4096)
            os.write(fd, answer + b"\n")
        while True:
            try:
                data = os.read(fd, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen

    def test_asks_on_a_terminal(self):
        env = {"SNAP_KEY_FILE": None, "SNAP_REPOSITORY": self.path("asked")}
        code, seen = self.ask(["init"], [(b"passphrase", b"open sesame"), (b"again", b"open sesame")], env)
        self.assertEqual(code, 0, seen)
        self.assertNotIn(b"sesame", seen, "no echo")
        code, seen = self.ask(["list"], [(b"Passphrase", b"open sesame")], env)
        self.assertEqual(code, 0, seen)
        code, seen = self.ask(["list"], [(b"Passphrase", b"wrong")], env)
        self.assertEqual(code, 12, seen)
        code, seen = self.ask(["init"], [(b"passphrase", b"one"), (b"again", b"two")],
                              dict(env, SNAP_REPOSITORY=self.path("third")))
        self.assertEqual(code, 2, seen)
        self.assertFalse(os.path.exists(self.path("third")))

    def test_confirms_on_a_terminal(self):
        data = self.write("data", b"old")
        self.snap("backup", data)
        self.write("data", b"new")
        code, seen = self.ask(["restore", "latest"], [(b"yes", b"no")], {})
        self.assertEqual((code, self.read(data)), (2, b"new"), seen)
        code, seen = self.ask(["restore", "latest"], [(b"yes", b"yes")], {})
        self.assertEqual((code, self.read(data)), (0, b"old"), seen)
