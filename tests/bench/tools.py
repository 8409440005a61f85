"""The three backup programs, each driven as its users drive it, and how one run of a program is measured."""
import mmap
import os
import resource
import shutil
import subprocess
import time


class Failed(Exception):
    """A program did not do what was asked; the message carries the end of its output."""


class Result:
    def __init__(self, seconds, rss_kib, core_seconds):
        self.seconds = seconds
        self.rss_kib = rss_kib
        self.core_seconds = core_seconds


def warm(path):
    """Read everything below path, so that it is in the page cache: some machines take idle pages away after seconds."""
    buffer = bytearray(1 << 20)
    for folder, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(folder, name), "rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass


TOUCHED_BYTES = 3 << 30


def touch_memory():
    """Take free memory and give it back. In a virtual machine, a page that nobody has touched for a while has first to be
    had from the host, at ten times the price of the page itself; who comes first would pay it for all."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_POPULATE", 0x8000)
    mmap.mmap(-1, max(min(TOUCHED_BYTES, free // 2), 1 << 20), flags=flags).close()


def children_seconds():
    """Processor time of all programs that have been run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(argv, env, log, cwd=None, sync_dir=None, timed=True, reads=()):
    """Run argv with output into the file log. Seconds are wall time; when sync_dir is given, writing that file system
    back counts too. What is below the paths in reads is in the page cache when it begins. rss_kib is the largest
    resident set of any process of the program: GNU time's %M. core_seconds are processor time of all its threads."""
    peak = log + ".rss"
    if timed:
        subprocess.run(["sync"], check=True)
        touch_memory()
    for path in reads:
        warm(path)
    with open(log, "wb") as out:
        before, start = children_seconds(), time.monotonic()
        status = subprocess.call(["/usr/bin/time", "-f", "%M", "-o", peak, *argv], stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=out, env=env, cwd=cwd)
        core_seconds = children_seconds() - before
        if sync_dir:
            subprocess.run(["sync", "-f", sync_dir], check=True)
        seconds = time.monotonic() - start
    if status != 0:
        with open(log, "rb") as out:
            tail = out.read()[-1500:].decode(errors="replace")
        raise Failed(f"{' '.join(argv)}\nexit status {status}\n{tail}")
    with open(peak) as f:
        return Result(seconds, int(f.read().split()[-1]), core_seconds)


def tree_bytes(path):
    """Bytes of all files below path: what the directory holds, not what the file system allots."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_size
    return total


class Tool:
    """One program with one repository. Subclasses give the command lines; snapshots are counted from 0."""
    name = ""

    def __init__(self, work):
        self.dir = os.path.join(work, self.name)
        self.repo = os.path.join(self.dir, "repo")
        self.outside = os.path.join(self.dir, "outside")
        self.log = os.path.join(self.dir, "output")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("RESTIC_", "BORG_", "SNAP_")) and k != "NO_COLOR"}
        self.count = 0

    def fresh(self):
        """Drop what was there and make an empty repository."""
        self.drop()
        os.makedirs(self.outside)
        self.count = 0
        self.call(self.init_command(), timed=False)

    def drop(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def call(self, argv, **options):
        return run(argv, self.env, self.log, **options)

    def backup(self, path):
        result = self.call(self.backup_command(path), reads=(path, self.repo, self.outside))
        self.count += 1
        return result

    def restore(self, index, target):
        """Restore snapshot index into target, which is made; an absolute path lies below target as it is."""
        os.makedirs(target)
        return self.call(self.restore_command(index, target), cwd=target, sync_dir=target,
                         reads=(self.repo, self.outside))

    def verify(self):
        return self.call(self.verify_command(), reads=(self.repo, self.outside))

    def list(self):
        return self.call(self.list_command(), reads=(self.outside,))

    def repo_bytes(self):
        return tree_bytes(self.repo)

    def outside_bytes(self):
        return tree_bytes(self.outside)


class Restic(Tool):
    name = "restic"

    def __init__(self, work):
        super().__init__(work)
        self.env.update(RESTIC_REPOSITORY=self.repo, RESTIC_PASSWORD="benchmark", RESTIC_CACHE_DIR=self.outside)

    @staticmethod
    def version():
        return subprocess.check_output(["restic", "version"], text=True).split()[1]

    def init_command(self):
        return ["restic", "init"]

    def backup_command(self, path):
        return ["restic", "backup", "--tag", f"n{self.count}", path]

    def restore_command(self, index, target):
        return ["restic", "restore", "latest", "--tag", f"n{index}", "--target", target]

    def verify_command(self):
        return ["restic", "check", "--read-data"]

    def list_command(self):
        return ["restic", "snapshots"]


class Borg(Tool):
    name = "borg"

    def __init__(self, work):
        super().__init__(work)
        self.env.update(BORG_REPO=self.repo, BORG_PASSPHRASE="benchmark", BORG_BASE_DIR=self.outside)

    @staticmethod
    def version():
        return subprocess.check_output(["borg", "--version"], text=True).split()[1]

    def init_command(self):
        return ["borg", "init", "--encryption", "repokey-blake2"]

    def backup_command(self, path):
        return ["borg", "create", "--compression", "zstd,3", f"::n{self.count}", path]

    def restore_command(self, index, target):
        return ["borg", "extract", f"::n{index}"]

    def verify_command(self):
        return ["borg", "check", "--verify-data"]

    def list_command(self):
        return ["borg", "list"]


class Snap(Tool):
    name = "snap"
    program = "snap"

    def __init__(self, work):
        super().__init__(work)
        self.env.update(SNAP_REPOSITORY=self.repo, SNAP_KEY_FILE=os.path.join(self.outside, "key"),
                        SNAP_CACHE_DIR=os.path.join(self.outside, "cache"))

    @classmethod
    def version(cls):
        return subprocess.check_output([cls.program, "version"], text=True).split()[-1]

    def init_command(self):
        return [self.program, "init"]

    def backup_command(self, path):
        return [self.program, "backup", path]

    def restore_command(self, index, target):
        return [self.program, "restore", f"latest~{self.count - 1 - index}", "--target", target]

    def verify_command(self):
        return [self.program, "verify", "--read-data"]

    def list_command(self):
        return [self.program, "list"]


TOOLS = {"restic": Restic, "borg": Borg, "snap": Snap}
