# SPDX-License-Identifier: MIT
"""Runs one module of CPython's test suite and tells each test's begin and end as it happens.

    python_unit.py MODULE EVENTS SKIP

EVENTS is a file to which a JSON line is appended for every event; it is opened for each line, so that the tests
see no descriptor that a plain run would not have.  SKIP names a file with the tests that are not to run again,
one a line: they ran before in a process that did not survive.
"""
import functools
import importlib
import json
import os
import sys
import tempfile
import time
import unittest

from test import support
from test.libregrtest import cmdline, setup

# An emulated processor is some 20 times slower: no test is to fail for that alone.
PATIENCE = 3


class Result(unittest.TestResult):
    """Tells what happens; a failing subtest makes its test fail."""

    events = None
    skipped_before = frozenset()

    def __init__(self):
        super().__init__()
        self._status = {}

    def tell(self, **event):
        with open(self.events, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(event) + "\n")

    def startTest(self, test):
        super().startTest(test)
        self._begun = time.monotonic()
        self._status = {"s": "ok"}
        self._name = test.id()  # test__xxsubinterpreters has an attribute of that name from here on
        self.tell(e="begin", t=self._name)

    def stopTest(self, test):
        super().stopTest(test)
        self.tell(e="end", t=self._name, d=round(time.monotonic() - self._begun, 2), **self._status)

    def _bad(self, test, status, text):
        if self._status.get("s") in ("fail", "error"):
            return
        self._status = {"s": status, "text": text[-3000:]}
        if isinstance(test, unittest.suite._ErrorHolder):  # of a class or a module: no startTest, no stopTest
            self.tell(e="end", t=test.id(), d=0, **self._status)

    def addError(self, test, err):
        super().addError(test, err)
        self._bad(test, "error", self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._bad(test, "fail", self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._bad(test, "fail", f"{subtest}\n{self._exc_info_to_string(err, test)}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if isinstance(test, unittest.suite._ErrorHolder):
            self.tell(e="end", t=test.id(), d=0, s="skip", text=reason)
        elif self._status.get("s", "ok") == "ok":
            self._status = {"s": "skip", "text": reason}

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._status = {"s": "fail", "text": "unexpected success"}


def drop(suite, names):
    """Takes the tests out of the suite that have run."""
    suite._tests = [test for test in suite._tests
                    if isinstance(test, unittest.TestSuite) or test.id() not in names]
    for test in suite._tests:
        if isinstance(test, unittest.TestSuite):
            drop(test, names)


def run_suite(suite):
    drop(suite, Result.skipped_before)
    result = Result()
    suite(result)
    if not result.wasSuccessful():
        raise support.TestFailed("see the events")


def load_and_run(module):
    loader = unittest.TestLoader()
    tests = loader.loadTestsFromModule(module)
    for error in loader.errors:
        print(error, file=sys.stderr)
    if loader.errors:
        raise ImportError("not all tests could be loaded")
    run_suite(tests)


def main():
    name, Result.events, skip = sys.argv[1:4]
    with open(skip, encoding="utf-8") as file:
        Result.skipped_before = frozenset(file.read().split("\n"))
    sys.argv = sys.argv[:1]
    options = cmdline._parse_args(["-u", "curses,decimal,subprocess"])
    setup.setup_tests(options)
    support.SHORT_TIMEOUT *= PATIENCE
    support.LONG_TIMEOUT *= PATIENCE
    support.LOOPBACK_TIMEOUT *= 10
    support._run_suite = run_suite
    support.verbose = False
    result = Result()
    with tempfile.TemporaryDirectory(prefix="test_python_", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            module = importlib.import_module("test." + name)
            (getattr(module, "test_main", None) or functools.partial(load_and_run, module))()
            result.tell(e="done", s="ok")
        except unittest.SkipTest as reason:
            result.tell(e="done", s="skip", text=str(reason))
        except support.TestFailed:
            result.tell(e="done", s="fail")
        except support.TestDidNotRun:
            result.tell(e="done", s="ok")
        except BaseException:
            import traceback
            result.tell(e="done", s="error", text=traceback.format_exc()[-3000:])
        finally:
            os.chdir("/")
            support.reap_children()


if __name__ == "__main__":
    main()
