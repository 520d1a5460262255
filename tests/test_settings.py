"""Settings from the environment, and the system checks that hold them together."""

from __future__ import annotations

import ast
import json
import os
import re
import stat

import pytest
from django.conf import settings as configured
from django.core.checks import run_checks

from similarity import checks
from tests.scratch import REPOSITORY, Shop

EXAMPLE = REPOSITORY / ".env.example"

COMPUTED = {"DATA_DIR", "MODELS_DIR", "DATABASE_URL", "WORKERS"}
"""Their defaults depend on the machine; the example shows what they usually are."""

DUMP = """
import json
from django.conf import settings
print(json.dumps({
    name: value for name in dir(settings) if name.isupper() and name != "SECRET_KEY"
    and isinstance(value := getattr(settings, name), (str, int, float, bool, list, dict))
}, default=str))
"""


@pytest.fixture
def shop(tmp_path) -> Shop:
    """A shop whose data folder does not exist yet."""
    return Shop(tmp_path / "new" / "shop")


def read_by_settings() -> set[str]:
    """The variables that are read from the environment, by settings' source."""
    tree = ast.parse((REPOSITORY / "fashionsim" / "settings.py").read_text())
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and isinstance(node.args[0], ast.Constant)
    }


def shown_in_example() -> list[tuple[str, str]]:
    return re.findall(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(), flags=re.MULTILINE)


# --- .env.example ---------------------------------------------------------------------------


def test_the_example_shows_each_variable_that_is_read_once():
    names = [name for name, _ in shown_in_example()]
    assert len(names) == len(set(names))
    assert set(names) == read_by_settings()


def test_no_other_module_reads_the_environment():
    for app in ("fashionsim", "similarity", "catalog", "accounts"):
        for path in (REPOSITORY / app).rglob("*.py"):
            if path.name != "settings.py":
                assert "environ.Env" not in path.read_text(), path


def test_the_example_sets_nothing():
    assert all(line.startswith("#") for line in EXAMPLE.read_text().split("\n") if line)


def test_the_example_shows_the_defaults(shop):
    """Taking all of it up changes nothing."""
    for pinned in ("DETECTOR", "EMBEDDER"):
        del shop.env[pinned]
    before = json.loads(shop.python(DUMP))
    shop.env |= {name: value for name, value in shown_in_example() if name not in COMPUTED}
    assert json.loads(shop.python(DUMP)) == before


# --- Values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAX_UPLOAD_BYTES", "abc", "MAX_UPLOAD_BYTES must be a whole number, and is 'abc'."),
        ("MAX_UPLOAD_BYTES", "12", "MAX_UPLOAD_BYTES must be at least 1024, and is 12."),
        ("MAX_IMAGE_PIXELS", "-1", "MAX_IMAGE_PIXELS must be at least 256"),
        ("WORKERS", "0", "WORKERS must be at least 1, and is 0."),
        ("WORKERS", "", "WORKERS must be a whole number"),
        ("INDEX_RECALL", "0", "INDEX_RECALL must be above 0 and at most 1, and is 0.0."),
        ("INDEX_RECALL", "99", "INDEX_RECALL must be above 0 and at most 1"),
        ("INDEX_OPTIONS", "trees=20;a", "INDEX_OPTIONS must look like trees=20,search_k=10000"),
        ("FAISS_BITS", "7", "FAISS_BITS must be one of 32, 16, 8"),
        ("RUN_LEASE_SECONDS", "1.5", "RUN_LEASE_SECONDS must be a whole number"),
        ("GROUNDINGDINO_BOX_THRESHOLD", "0,3", "GROUNDINGDINO_BOX_THRESHOLD must be a number"),
        ("DEBUG", "perhaps", "DEBUG must be true or false, and is 'perhaps'."),
        ("HTTPS", "", "HTTPS must be true or false"),
        ("AUTH_PROVIDER", "ldap", "AUTH_PROVIDER must be one of local, supabase"),
        ("THROTTLE_KEYS", "60", "THROTTLE_KEYS must look like 60/min, and is '60'."),
        ("THROTTLE_KEYS", "0/min", "THROTTLE_KEYS must look like 60/min"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_a_bad_value_is_refused_with_its_name(shop, name, value, said):
    shop.env[name] = value
    done = shop.manage("check")
    assert done.returncode != 0
    assert said in done.stderr.splitlines()[-1], done.stderr


def test_a_list_may_have_blanks_behind_its_commas(shop):
    shop.env["ALLOWED_HOSTS"] = "shop.example, www.shop.example,"
    shown = "from django.conf import settings; print(settings.ALLOWED_HOSTS)"
    assert shop.python(shown).strip() == "['shop.example', 'www.shop.example']"


@pytest.mark.parametrize(("value", "meant"), [("Yes", True), ("1", True), ("off", False)])
def test_yes_and_no_can_be_said_in_several_ways(shop, value, meant):
    shop.env["ALLOW_IMAGE_URLS"] = value
    shown = "from django.conf import settings; print(settings.ALLOW_IMAGE_URLS)"
    assert shop.python(shown).strip() == str(meant)


def test_a_fresh_data_folder_needs_nothing_but_migrate(shop):
    assert shop.manage("migrate", "--verbosity", 0).returncode == 0
    done = shop.manage("check", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in shop.folder.iterdir()} >= {"fashionsim.sqlite3", "secret-key"}


def test_the_secret_key_is_made_once_and_is_its_owner_s_alone(shop):
    shown = "from django.conf import settings; print(settings.SECRET_KEY)"
    first = shop.python(shown).strip()
    path = shop.folder / "secret-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first) > 50
    assert shop.python(shown).strip() == first == path.read_text()
    shop.env["SECRET_KEY"] = "chosen" * 10
    assert shop.python(shown).strip() == "chosen" * 10


def test_two_shops_have_two_secret_keys(tmp_path):
    shown = "from django.conf import settings; print(settings.SECRET_KEY)"
    keys = {Shop(tmp_path / name).python(shown) for name in ("one", "two")}
    assert len(keys) == 2


def test_everything_is_written_below_the_data_folder():
    folder = configured.DATA_DIR
    assert str(folder) == os.environ["DATA_DIR"]
    for name in ("MODELS_DIR", "STATIC_ROOT"):
        assert getattr(configured, name).is_relative_to(folder), name


# --- System checks --------------------------------------------------------------------------


def ids() -> list[str | None]:
    return [message.id for message in run_checks()]


def test_the_tests_own_settings_are_sound():
    assert ids() == []


def test_a_queue_that_gives_a_task_out_too_soon_is_an_error(settings):
    queue = settings.Q_CLUSTER
    least = queue["timeout"] * (queue["queue_limit"] / queue["workers"] + 2)
    settings.Q_CLUSTER = queue | {"retry": least + 1}
    assert ids() == []
    settings.Q_CLUSTER = queue | {"retry": least}
    [error] = checks.check_queue()
    assert error.id == "similarity.E002"
    assert f"{least:g} s" in error.msg
    settings.Q_CLUSTER = queue | {"queue_limit": 4 * queue["workers"]}
    assert ids() == ["similarity.E002"]


@pytest.mark.parametrize("setting", ["DETECTOR", "EMBEDDER", "INDEX"])
@pytest.mark.parametrize("name", ["clairvoyance", "no.such.module:Class", "json:NoSuchClass"])
def test_a_backend_that_does_not_exist_is_an_error(settings, setting, name):
    setattr(settings, setting, name)
    [error] = checks.check_backends()
    assert error.id == "similarity.E001"
    assert name in error.msg
    assert setting in error.hint


def test_options_that_a_backend_does_not_take_are_an_error(settings):
    settings.BACKEND_OPTIONS = {"annoy": {"leaves": 3}}
    [error] = checks.check_backends()
    assert error.id == "similarity.E001"
    assert "leaves" in error.msg


def test_the_index_engine_may_be_given_options(shop):
    shop.env |= {"INDEX": "annoy", "INDEX_OPTIONS": "trees=7,search_k=900"}
    shown = "from similarity import backends; print(backends.options('annoy'))"
    assert shop.python(shown).strip() == "{'trees': 7, 'search_k': 900}"


def test_missing_weights_are_a_warning_each_with_a_hint(settings, tmp_path):
    settings.DETECTOR = "groundingdino"
    settings.BACKEND_OPTIONS = {"groundingdino": {"models_dir": tmp_path, "prompt": ["top"]}}
    messages = checks.check_backends()
    assert {message.id for message in messages} == {"similarity.W001"}
    assert any(str(tmp_path) in message.msg for message in messages)
    assert all("DETECTOR" in message.hint for message in messages)


def test_a_class_of_the_shop_s_own_is_as_good_as_a_known_name(settings):
    settings.DETECTOR = "tests.pipeline.backends:HalvesDetector"
    settings.EMBEDDER = "tests.pipeline.backends:ThumbnailEmbedder"
    assert checks.check_backends() == []


# --- The old paths --------------------------------------------------------------------------

PATHS = """
from django.urls import Resolver404, resolve
for path in ("/relay_image", "/api/auth/login", "/splitted_images/7"):
    try:
        print(resolve(path).url_name)
    except Resolver404:
        print("none")
"""


@pytest.mark.parametrize(
    ("value", "names"),
    [("true", ["legacy-relay", "legacy-login", "legacy-row"]), ("false", ["none"] * 3)],
)
def test_the_old_paths_are_there_or_not(shop, value, names):
    shop.env["LEGACY_API"] = value
    assert shop.python(PATHS).split() == names


def test_an_origin_that_is_none_is_found_by_the_checks(shop):
    shop.env["CORS_ORIGINS"] = "shop.example"
    done = shop.manage("check")
    assert done.returncode == 1
    assert "corsheaders.E013" in done.stderr
