"""What is measured: each group takes the programs in turn on the same data and notes every value under a name."""
import filecmp
import os
import shutil
import statistics
import subprocess
import time

from tools import Failed, touch_memory, tree_bytes, warm

MINUTE = 60.0
REST_SECONDS = 2


class Values:
    """All values seen: figure -> program -> list, and the largest resident set of each."""

    def __init__(self):
        self.seen = {}
        self.rss = {}

    def note(self, figure, tool, value):
        self.seen.setdefault(figure, {}).setdefault(tool, []).append(value)

    def note_run(self, figure, tool, result):
        self.note(figure, tool, result.seconds)
        peak = self.rss.setdefault(figure, {})
        peak[tool] = max(peak.get(tool, 0), result.rss_kib)

    def median(self, figure, tool):
        values = self.seen.get(figure, {}).get(tool)
        return statistics.median(values) if values else None

    def runs(self, figure, tool):
        return len(self.seen.get(figure, {}).get(tool, []))

    def longest(self):
        """Seconds of the longest run; only runs have a resident set."""
        return max((v for figure in self.rss for values in self.seen[figure].values() for v in values), default=0.0)


class Bench:
    def __init__(self, work, tools, generator, scale, runs, say):
        self.work = work
        self.tools = [tool(work) for tool in tools]
        self.generator = generator
        self.scale = scale
        self.runs = runs
        self.say = say
        self.values = Values()
        self.targets = []

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def generate(self, verb, folder, *options, scale=None):
        factor = self.scale if scale is None else scale
        subprocess.run([self.generator, verb, folder, "--scale", repr(factor), *options], check=True)

    def copy(self, source, target):
        subprocess.run(["cp", "-r", source, target], check=True)

    @staticmethod
    def rest():
        """Files written in the last second look as if they might still change: let them age, for every program."""
        subprocess.run(["sync"], check=True)
        time.sleep(REST_SECONDS)

    def turns(self, number):
        """The programs, another one first in each round."""
        first = number % len(self.tools)
        return self.tools[first:] + self.tools[:first]

    def rounds(self):
        """Round numbers; three rounds do when a run of one program takes more than a minute."""
        wanted = self.runs or 5
        number = 0
        while number < wanted:
            yield number
            number += 1
            if not self.runs and self.values.longest() > MINUTE:
                wanted = min(wanted, 3)

    def must_equal(self, tool, expected, restored):
        """The restored tree must hold every file expected, byte for byte, and nothing else. SQLite's sidecars beside a
        database that nobody has open hold nothing and are left out."""
        want, have = files_below(expected), files_below(restored)
        if want != have:
            raise Failed(f"{tool.name}: the restored tree has other files: {sorted(want ^ have)[:5]}")
        for name in want:
            if not filecmp.cmp(os.path.join(expected, name), os.path.join(restored, name), shallow=False):
                raise Failed(f"{tool.name}: {name} differs after the restore")

    def new_target(self):
        self.targets.append(self.path(f"target-{len(self.targets)}"))
        return self.targets[-1]

    def drop_targets(self):
        for target in self.targets:
            shutil.rmtree(target, ignore_errors=True)
        self.targets = []

    def drop_all(self):
        """At the end of a round, so that no program is timed just after another's gigabytes were deleted."""
        self.drop_targets()
        for tool in self.tools:
            tool.drop()
        self.rest()

    def timed_copy(self, figure, data):
        target = self.new_target()
        subprocess.run(["sync"], check=True)
        touch_memory()
        warm(data)
        start = time.monotonic()
        subprocess.run(["cp", "-r", data, target], check=True)
        subprocess.run(["sync", "-f", target], check=True)
        self.values.note(figure, "cp", time.monotonic() - start)

    def one_restore(self, figure, tool, index, data, expected=None):
        """Restore snapshot index of data; compare it with the tree expected when that is given. The target is kept for
        later: a file system can be slow for minutes after it lost many files or many bytes. A program that runs alone
        is not compared, and its targets would fill the disk."""
        if tool.name == "snap" or len(self.tools) == 1:
            self.timed_copy(figure, data)
        target = self.new_target()
        self.values.note_run(figure, tool.name, tool.restore(index, target))
        if expected:
            self.must_equal(tool, expected, target + os.path.abspath(data))
        if len(self.tools) == 1:
            self.drop_targets()

    def one_backup(self, figure, tool, data):
        before = tool.repo_bytes()
        self.values.note_run(figure, tool.name, tool.backup(data))
        self.values.note(figure + " bytes", tool.name, tool.repo_bytes() - before)


def files_below(folder):
    names = set()
    for place, _, files in os.walk(folder):
        for name in files:
            if not name.endswith(("-wal", "-shm")):
                names.add(os.path.relpath(os.path.join(place, name), folder))
    return names


def main_group(bench, prefix="", scale=None):
    """The database, the vectors and the JSON: first backup, nothing changed, day 1, restore, verify, list."""
    pristine, data, values = bench.path("pristine"), bench.path("data"), bench.values
    bench.say("making the data")
    bench.generate("make", pristine, scale=scale)
    values.note(prefix + "data bytes", "all", tree_bytes(pristine))
    for number in bench.rounds():
        shutil.rmtree(data, ignore_errors=True)
        bench.copy(pristine, data)
        bench.rest()
        for tool in bench.turns(number):
            bench.say(f"round {number + 1}: {tool.name}: first backup, nothing changed")
            tool.fresh()
            bench.one_backup(prefix + "first", tool, data)
            bench.one_backup(prefix + "unchanged", tool, data)
        bench.generate("day", data, "--day", "1", scale=scale)
        bench.rest()
        for tool in bench.turns(number):
            bench.say(f"round {number + 1}: {tool.name}: day 1, restore, verify, list")
            bench.one_backup(prefix + "day 1", tool, data)
            values.note(prefix + "outside bytes", tool.name, tool.outside_bytes())
            bench.one_restore(prefix + "restore", tool, 2, data, expected=data if number == 0 else None)
            values.note_run(prefix + "verify", tool.name, tool.verify())
            values.note_run(prefix + "list", tool.name, tool.list())
            if number == 0:
                bench.one_restore(prefix + "restore of the first", tool, 0, data, expected=pristine)
        bench.drop_all()
    for folder in (pristine, data):
        shutil.rmtree(folder)


def churn_group(bench, days):
    """Day after day on a fifth of the database alone; bytes added in all after 30 days and at the end."""
    data, kept, values = bench.path("churn"), bench.path("churn-30"), bench.values
    scale = bench.scale * 0.2
    bench.generate("make", data, "--only", "db", scale=scale)
    bench.rest()
    start = {}
    for tool in bench.tools:
        tool.fresh()
        tool.backup(data)
        start[tool.name] = tool.repo_bytes()
    for day in range(1, days + 1):
        bench.generate("day", data, "--only", "db", "--day", str(day), scale=scale)
        bench.rest()
        for tool in bench.turns(day):
            values.note_run("a day", tool.name, tool.backup(data))
        if day in (30, days):
            for tool in bench.tools:
                values.note(f"{day} days bytes", tool.name, tool.repo_bytes() - start[tool.name])
            bench.say(f"{day} days done")
        if day == 30 and day != days:
            bench.copy(data, kept)
    check_churn(bench, data, kept, days)
    for tool in bench.tools:
        tool.drop()
    shutil.rmtree(data)
    shutil.rmtree(kept, ignore_errors=True)


def check_churn(bench, data, kept, days):
    for tool in bench.tools:
        bench.one_restore(f"restore after {days} days", tool, days, data, expected=data)
        if os.path.isdir(kept):
            bench.one_restore("restore of day 30", tool, 30, data, expected=kept)


def files_group(bench, prefix="", scale=None):
    """100,000 small files: first backup, nothing changed, restore."""
    data, values = bench.path("small"), bench.values
    bench.say("making 100,000 small files")
    bench.generate("small", data, scale=scale)
    values.note(prefix + "files data bytes", "all", tree_bytes(data))
    bench.rest()
    for number in bench.rounds():
        for tool in bench.turns(number):
            bench.say(f"round {number + 1}: {tool.name}: small files")
            tool.fresh()
            bench.one_backup(prefix + "files first", tool, data)
            bench.one_backup(prefix + "files unchanged", tool, data)
            bench.one_restore(prefix + "files restore", tool, 1, data, data if number == 0 else None)
            tool.drop()
    bench.drop_targets()
    shutil.rmtree(data)
