"""Runs the tests of the window. Meant to be started on a display and a bus of their own."""

import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    sys.path.insert(0, str(HERE))
    # Somebody has to give windows the focus; the picture does not matter.
    manager = subprocess.Popen(["openbox"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{name}*" for name in sys.argv[1:]] or None
    tests = loader.discover(str(HERE), pattern="test_*.py")
    done = unittest.TextTestRunner(verbosity=2).run(tests)
    manager.terminate()
    manager.wait()
    sys.exit(not done.wasSuccessful())


if __name__ == "__main__":
    main()
