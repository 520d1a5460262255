"""Loaded before Django reads its settings: a data folder of the tests' own."""

import atexit
import os
import shutil
import tempfile

DATA_DIR = tempfile.mkdtemp(prefix="fashionsim-tests-")
os.environ["DATA_DIR"] = DATA_DIR
os.environ.setdefault("LOG_LEVEL", "WARNING")
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)
