#!/usr/bin/env python3
"""The black-box tests: snap as its users run it. SNAP_BIN names the program; build/snap when it is not set.

usage: run.py [-k PATTERN] [-v]

Long tests run with SNAP_TEST_LONG=1; SNAP_TEST_KILL_SECONDS bounds each test that kills the
program at every call (12; 0: no bound)."""
import argparse
import os
import sys
import unittest

sys.dont_write_bytecode = True  # nothing is left in the tree
HERE = os.path.dirname(os.path.abspath(__file__))


class Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.good = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.good += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", metavar="PATTERN", action="append", help="only tests whose name matches")
    parser.add_argument("-v", action="store_true", help="name each test")
    args = parser.parse_args()
    sys.path.insert(0, HERE)
    import harness
    if not os.access(harness.SNAP, os.X_OK):
        print(f"run.py: there is no program {harness.SNAP}; build it, or set SNAP_BIN", file=sys.stderr)
        return 1
    loader = unittest.TestLoader()
    if args.k:
        loader.testNamePatterns = [k if "*" in k else f"*{k}*" for k in args.k]
    suite = loader.discover(HERE, pattern="test_*.py", top_level_dir=HERE)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2 if args.v else 1, resultclass=Result)
    result = runner.run(suite)
    failed = result.testsRun - result.good + len(loader.errors)
    print(f"{result.good} passed, {failed} failed", flush=True)
    return 1 if failed or not result.wasSuccessful() else 0


if __name__ == "__main__":
    sys.exit(main())
