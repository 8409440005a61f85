#!/usr/bin/env python3
"""All tests of the project in one run: ./dev test. Every count comes from what the tests themselves reported, and what
did not run counts as failed."""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORES = os.cpu_count() or 1
TEST_SECONDS = 600  # one program of the C tests
CLI_SECONDS = 900   # the whole of one CLI run
FUZZ_GRACE_SECONDS = 120
BUILD_DIRS = {"release": "build", "clang": "build-clang", "asan": "build-asan", "fuzz": "build-fuzz"}
SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "SNAP_SANITIZED": "1",  # for tests that limit memory in ways a sanitizer cannot live with
}


class Row:
    """One line of the table."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failures = []  # names of what failed or did not run
        self.seconds = 0.0
        self.note = ""


class Suite:
    def __init__(self, pattern):
        self.pattern = pattern
        self.rows = []
        self.logs = os.path.join(ROOT, "build", "test-logs")
        shutil.rmtree(self.logs, ignore_errors=True)
        os.makedirs(self.logs)

    def wanted(self, name):
        return not self.pattern or re.search(self.pattern, name) is not None

    def add(self, name, step, *args):
        """Run step(row, ...), time it, and keep the row. Whatever goes wrong in it is a failure of the row."""
        row = Row(name)
        print(f"== {name}", flush=True)
        start = time.monotonic()
        try:
            step(row, *args)
        except (OSError, subprocess.SubprocessError, xml.ParseError, ValueError) as e:
            row.failures.append(f"{name}: {e}")
        row.seconds = time.monotonic() - start
        for failure in row.failures:
            print(f"   FAILED {failure}", flush=True)
        self.rows.append(row)
        return not row.failures

    def command(self, argv, log, env=None, timeout=None):
        """Exit status of argv, its output in the file log; 124 when it took longer than timeout seconds."""
        path = os.path.join(self.logs, log)
        with open(path, "wb") as out:
            child = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                     env=dict(os.environ, **(env or {})), start_new_session=True)
            try:
                return child.wait(timeout), path
            except BaseException as e:  # an interrupt, too, must leave nothing running
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                if isinstance(e, subprocess.TimeoutExpired):
                    return 124, path
                raise


def tail(path, lines=25):
    with open(path, errors="replace") as f:
        return "".join("   | " + line.rstrip("\n") + "\n" for line in f.readlines()[-lines:])


def step_build(row, suite, preset, *targets):
    log = f"build-{preset}"
    status, path = suite.command(["cmake", "--preset", preset], log + "-configure.log")
    if status == 0:
        status, path = suite.command(["ninja", "-C", BUILD_DIRS[preset], "-j", str(CORES), *targets], log + ".log")
    if status != 0:
        print(tail(path), end="")
        row.failures.append(row.name)
    else:
        row.passed = 1


def step_ctest(row, suite, preset, env):
    """One program of the C tests is one test."""
    report = os.path.join(suite.logs, f"ctest-{preset}.xml")
    argv = ["ctest", "--test-dir", BUILD_DIRS[preset], "-j", str(CORES), "--timeout", str(TEST_SECONDS),
            "--output-on-failure", "--output-junit", report]
    if suite.pattern:
        argv += ["-R", suite.pattern]
    status, path = suite.command(argv, f"ctest-{preset}.log", env)
    for case in xml.parse(report).getroot().iter("testcase"):
        if case.get("status") == "run" and case.find("failure") is None:
            row.passed += 1
        else:
            row.failures.append(f"{case.get('name')} ({case.get('status')})")
    if row.failures or (status != 0 and not row.failures):
        print(tail(path, 80), end="")
    if status != 0 and not row.failures:
        row.failures.append(f"ctest ended with {status}")
    if not row.passed and not row.failures and not suite.pattern:
        row.failures.append("ctest found no tests")


def read_unittest(text):
    """Tests run, names failed, names skipped, from the output of unittest."""
    ran = re.findall(r"^Ran (\d+) tests? in ", text, re.M)
    failed = {name.strip() for name in re.findall(r"^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (.+?)(?: \[.*| \(<subtest>\))?$",
                                                  text, re.M)}
    failed = {re.sub(r"\) \(.*$", ")", name) for name in failed}  # a failing part of a test is the test
    skipped = re.search(r"^(?:OK|FAILED) \(.*skipped=(\d+)", text, re.M)
    return (int(ran[-1]) if ran else None), failed, int(skipped.group(1)) if skipped else 0


def step_cli(row, suite, preset, env):
    runner = os.path.join(ROOT, "tests", "cli", "run.py")
    program = os.path.join(ROOT, BUILD_DIRS[preset], "snap")
    for path in (runner, program):
        if not os.path.exists(path):
            row.failures.append(f"did not run: there is no {os.path.relpath(path, ROOT)}")
            return
    argv = [sys.executable, runner] + (["-k", suite.pattern] if suite.pattern else [])
    status, path = suite.command(argv, f"cli-{preset}.log", dict(env, SNAP_BIN=program), CLI_SECONDS)
    with open(path, errors="replace") as f:
        ran, failed, skipped = read_unittest(f.read())
    if ran is None:
        row.failures.append(f"no result: exit status {status}")
    else:
        outside = {name for name in failed if name.startswith(("setUpClass", "setUpModule", "tearDown"))}
        row.passed = max(0, ran - len(failed - outside) - skipped)
        row.failures += sorted(failed) + ["a test was skipped"] * skipped
        if status != 0 and not row.failures:
            row.failures.append(f"exit status {status}")
        if ran == 0 and not suite.pattern:
            row.failures.append("no CLI tests found")
    if row.failures:
        print(tail(path, 80), end="")


def fuzz_names(suite):
    names = [os.path.splitext(os.path.basename(f))[0] for f in glob.glob(os.path.join(ROOT, "tests/fuzz/fuzz_*.c"))]
    return sorted(name for name in names if suite.wanted("fuzz/" + name))


def fuzz_one(suite, name, seconds):
    """None when name ran for its time and found nothing, else what happened."""
    short = name[len("fuzz_"):]
    seeds = [d for d in (os.path.join(ROOT, "tests", "fuzz", "corpus", n) for n in (name, short)) if os.path.isdir(d)]
    found = os.path.join(ROOT, BUILD_DIRS["fuzz"], "corpus", name)
    crashes = os.path.join(suite.logs, name + "-crashes")
    os.makedirs(found, exist_ok=True)
    os.makedirs(crashes)
    program = os.path.join(ROOT, BUILD_DIRS["fuzz"], "tests", name)
    argv = [program, f"-max_total_time={seconds}", "-timeout=25", "-rss_limit_mb=2048", "-print_final_stats=1",
            f"-artifact_prefix={crashes}/", found, *seeds]
    status, path = suite.command(argv, name + ".log", SANITIZER_ENV, seconds + FUZZ_GRACE_SECONDS)
    with open(path, errors="replace") as f:
        runs = re.search(r"stat::number_of_executed_units: (\d+)", f.read())
    if status != 0 or not runs or int(runs.group(1)) == 0:
        print(tail(path), end="")
        return f"fuzz/{name}: exit status {status}; input and log in {os.path.relpath(suite.logs, ROOT)}"
    return None


def step_fuzz(row, suite, names, seconds):
    missing = [n for n in names if not os.path.exists(os.path.join(ROOT, BUILD_DIRS["fuzz"], "tests", n))]
    row.failures += [f"fuzz/{name}: did not run, was not built" for name in missing]
    names = [name for name in names if name not in missing]
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        results = list(pool.map(lambda name: fuzz_one(suite, name, seconds), names))
    row.failures += [r for r in results if r]
    row.passed = results.count(None)
    row.note = f"{seconds} s each"
    if not names and not missing:
        row.failures.append("no fuzz targets found")


def step_script(row, suite, argv, env=None):
    if not os.path.exists(os.path.join(ROOT, argv[0])):
        row.failures.append(f"did not run: there is no {argv[0]}")
        return
    argv = [os.path.join(ROOT, argv[0]), *argv[1:]]
    argv = argv if os.access(argv[0], os.X_OK) else ["sh", *argv]
    status, path = suite.command(argv, row.name.replace(" ", "-").replace("/", "-") + ".log", env, TEST_SECONDS)
    if status != 0:
        print(tail(path, 60), end="")
        row.failures.append(f"{row.name}: exit status {status}")
    else:
        row.passed = 1


def did_not_run(row, why):
    row.failures.append(f"did not run: {why}")


def run_builds(suite):
    """Build with gcc, test; build with clang; build with sanitizers, test again."""
    plain = suite.add("build with gcc", step_build, suite, "release")
    for name, step, preset, env in (("C tests", step_ctest, "release", {}), ("CLI tests", step_cli, "release", {})):
        if plain:
            suite.add(name, step, suite, preset, env)
        else:
            suite.add(name, did_not_run, "the build with gcc failed")
    if suite.pattern:
        return
    suite.add("build with clang", step_build, suite, "clang")
    clean = suite.add("build with sanitizers", step_build, suite, "asan")
    for name, step in (("C tests, sanitizers", step_ctest), ("CLI tests, sanitizers", step_cli)):
        if clean:
            suite.add(name, step, suite, "asan", SANITIZER_ENV)
        else:
            suite.add(name, did_not_run, "the build with sanitizers failed")


def run_fuzzers(suite, seconds):
    names = fuzz_names(suite)
    if not names and suite.pattern:
        return
    if suite.add("build of the fuzz targets", step_build, suite, "fuzz", *names) or names:
        suite.add("fuzz targets", step_fuzz, suite, names, seconds)


def run_checks(suite):
    checks = [("check layers", ["tests/tools/check_layers.sh"]), ("check docs", ["tests/tools/check_docs.sh"]),
              ("check format", ["dev", "lint", "format"]), ("check shell", ["dev", "lint", "shell"]),
              ("check cppcheck", ["dev", "lint", "cppcheck"]), ("check demo", ["dev", "demo"])]
    for name, argv in checks:
        if suite.wanted(name):
            env = {"SNAP_BIN": os.path.join(ROOT, "build", "snap")}
            suite.add(name, step_script, suite, argv, env)


def print_table(suite):
    """The table and, as the very last line, the count. Returns how many failed."""
    width = max(len(row.name) for row in suite.rows) if suite.rows else 10
    print(f"\n{'what':{width}}  passed  failed  seconds")
    for row in suite.rows:
        print(f"{row.name:{width}}  {row.passed:6}  {len(row.failures):6}  {row.seconds:7.0f}  {row.note}".rstrip())
    failures = [(row.name, failure) for row in suite.rows for failure in row.failures]
    if failures:
        print("\nfailed or did not run:")
        for name, failure in failures:
            print(f"  {name}: {failure}")
        print(f"output of each step: {os.path.relpath(suite.logs, ROOT)}/")
    passed = sum(row.passed for row in suite.rows)
    failed = len(failures)
    if passed == 0 and failed == 0:
        print(f"\nnothing matches {suite.pattern!r}")
        failed = 1
    print(f"\n{passed} passed, {failed} failed", flush=True)
    return failed


def fuzz_seconds():
    text = os.environ.get("SNAP_FUZZ_SECONDS", "10")
    if not text.isdigit() or int(text) == 0:
        sys.exit(f"SNAP_FUZZ_SECONDS={text}: a whole number of seconds is wanted")
    return int(text)


def main():
    p = argparse.ArgumentParser(prog="./dev test")
    p.add_argument("--only", metavar="PATTERN", help="only tests, fuzz targets and checks whose name matches")
    p.add_argument("--fuzz", metavar="PATTERN", help="only the fuzz targets whose name matches")
    options = p.parse_args()
    seconds = fuzz_seconds()
    with tempfile.TemporaryDirectory(prefix="snap-test-", dir=os.environ.get("TMPDIR") or "/var/tmp") as scratch:
        os.chmod(scratch, 0o755)  # some tests run a program as another user
        os.environ["TMPDIR"] = scratch
        suite = Suite(options.fuzz or options.only)
        if options.fuzz is None:
            run_builds(suite)
        run_fuzzers(suite, seconds)
        if options.fuzz is None:
            run_checks(suite)
    return 1 if print_table(suite) else 0


if __name__ == "__main__":
    sys.exit(main())
