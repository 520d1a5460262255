"""What holds for the code as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from django.core.management import call_command

from tests.scratch import REPOSITORY

APPS = ("fashionsim", "shop", "similarity", "catalog", "accounts")

HEAVY = (
    "torch",
    "torchvision",
    "groundingdino",
    "transformers",
    "open_clip",
    "timm",
    "onnxruntime",
    "cv2",
    "annoy",
    "faiss",
)

VISIT = """
from django.core.management import call_command
from django.test import Client
call_command("check", verbosity=0)
client = Client(HTTP_HOST="localhost")
for url in sys.argv[2:]:
    response = client.get(url)
    assert response.status_code == 200, (url, response.status_code)
print(sorted(set(sys.argv[1].split(",")) & set(sys.modules)))
"""

ROUNDTRIP = """
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

labels = {label for label, _ in MigrationRecorder(connection).applied_migrations()}
for label in sorted(labels):
    call_command("migrate", label, "zero", verbosity=0)
print(sorted(set(connection.introspection.table_names()) - {"django_migrations"}))
call_command("migrate", verbosity=0)
models = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
print(sorted(models - set(connection.introspection.table_names())))
"""


def test_imports_keep_to_the_layers():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: \d+ kept, 0 broken", done.stdout)


def test_no_migration_is_missing(db):
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_the_system_checks_find_nothing():
    call_command("check", "--fail-level", "WARNING")


def test_migrations_can_be_undone_and_done_again(open_shop):
    undone, missing = open_shop().python(ROUNDTRIP).splitlines()
    assert undone == "[]", "tables that stay behind"
    assert missing == "[]", "tables that do not come back"


@pytest.mark.parametrize(
    "urls",
    [
        ["/admin/login/", "/sign-in/"],
        ["/api/v1/products/", "/api/v1/images/", "/api/v1/health/live", "/api/schema/"],
    ],
    ids=["admin", "API"],
)
def test_the_site_starts_without_heavy_libraries(open_shop, urls):
    shop = open_shop(DETECTOR="groundingdino", EMBEDDER="resnet50", INDEX="annoy")
    assert shop.python(VISIT, ",".join(HEAVY), *urls).strip() == "[]"


def requirements() -> list[tuple[str, str]]:
    return [
        (path.name, line)
        for path in sorted((REPOSITORY / "requirements").glob("*.txt"))
        for line in path.read_text().splitlines()
        if line and not line.startswith("#")
    ]


def test_every_requirement_is_pinned():
    assert requirements()
    for file, line in requirements():
        assert re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+", line), f"{file}: {line}"


def test_no_two_files_pin_a_requirement_differently():
    pins: dict[str, str] = {}
    for file, line in requirements():
        name, _, version = line.partition("==")
        assert pins.setdefault(name.lower(), version) == version, f"{file}: {line}"


def test_every_module_says_what_it_is():
    silent = []
    for app in APPS:
        for path in (REPOSITORY / app).rglob("*.py"):
            tree = ast.parse(path.read_text())
            is_plain = not tree.body or path.name == "apps.py" or "migrations" in path.parts
            if not is_plain and not ast.get_docstring(tree):
                silent.append(str(path.relative_to(REPOSITORY)))
    assert silent == []


def test_pickle_is_never_loaded():
    """Neither by name nor through numpy or torch, whatever the file is called."""
    for app in APPS:
        for path in (REPOSITORY / app).rglob("*.py"):
            source = path.read_text()
            assert not re.search(
                r"^\s*(import|from) (pickle|dill|joblib|shelve)\b", source, re.MULTILINE
            )
            for call in re.findall(r"\bnp\.load\([^)]*\)", source):
                assert "allow_pickle=False" in call, f"{path}: {call}"
            for call in re.findall(r"\btorch\.load\([^)]*\)", source):
                assert "weights_only=True" in call, f"{path}: {call}"
