"""Loaded before Django reads its settings: a data folder of the tests' own."""

import atexit
import os
import shutil
import tempfile

DATA_DIR = tempfile.mkdtemp(prefix="fashionsim-tests-")
os.environ["DATA_DIR"] = DATA_DIR
os.environ.setdefault("LOG_LEVEL", "WARNING")
# Real backends that need neither torch nor weights: whatever is not about models runs with them.
os.environ.setdefault("DETECTOR", "whole_image")
os.environ.setdefault("EMBEDDER", "colour")
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)
