"""Settings: one file, read from the environment through typed readers.

Every variable that is read here stands in `.env.example` (a test compares the two). With none
of them set, a fresh `DATA_DIR` and `manage.py migrate` give a working shop on SQLite.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class Env(environ.Env):  # type: ignore[misc]  # the library has no types
    """Refuses, by its name, a value of the wrong type; the library's own readers guess."""

    EXPECTED = {bool: "true or false", int: "a whole number", float: "a number"}
    BOOLEANS = {"true", "yes", "on", "1", "false", "no", "off", "0"}

    def get_value(self, var: str, cast: Any = None, *args: Any, **options: Any) -> Any:
        try:
            return super().get_value(var, cast, *args, **options)
        except ValueError as error:
            expected = self.EXPECTED[cast]
            raise ImproperlyConfigured(
                f"{var} must be {expected}, and is {os.environ[var]!r}."
            ) from error

    @classmethod
    def parse_value(cls, value: str, cast: Any) -> Any:
        if cast is bool and value.lower() not in cls.BOOLEANS:
            raise ValueError(value)
        if cast is float:
            return float(value)
        if cast is list:
            return [item.strip() for item in value.split(",") if item.strip()]
        return super().parse_value(value, cast)


env = Env()
env.read_env(BASE_DIR / ".env")


def _kept_secret(path: Path) -> str:
    """The secret of this installation: made at random once, readable by its owner alone."""
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(50))
        with suppress(FileExistsError):  # another process was faster: its secret it is
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_text().strip()


def _one_of(name: str, known: tuple[str, ...], value: str) -> str:
    if value not in known:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(known)}, and is {value!r}.")
    return value


def _at_least(name: str, least: int, value: int) -> int:
    if value < least:
        raise ImproperlyConfigured(f"{name} must be at least {least}, and is {value}.")
    return value


def _numbers(name: str, pairs: list[str]) -> dict[str, int]:
    for pair in pairs:
        if not re.fullmatch(r"[a-z_]+=\d+", pair):
            raise ImproperlyConfigured(f"{name} must look like trees=20,search_k=10000: {pair!r}.")
    return {option: int(value) for option, value in (pair.split("=") for pair in pairs)}


def _rate(name: str, value: str) -> str | None:
    if value and not re.fullmatch(r"[1-9]\d*/(s|sec|m|min|h|hour|d|day)", value):
        raise ImproperlyConfigured(f"{name} must look like 60/min, and is {value!r}.")
    return value or None


def _part(name: str, value: float) -> float:
    if not 0 < value <= 1:
        raise ImproperlyConfigured(f"{name} must be above 0 and at most 1, and is {value}.")
    return value


# --- Where things lie -----------------------------------------------------------------------

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)
MODELS_DIR = Path(env.str("MODELS_DIR", default=str(DATA_DIR / "models"))).resolve()
MODELS_MIRROR = env.list("MODELS_MIRROR", default=[])
INDEX_DIR = DATA_DIR / "indexes"
MEDIA_ROOT = DATA_DIR / "media"

# --- Who we are -----------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or _kept_secret(DATA_DIR / "secret-key")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

HTTPS = env.bool("HTTPS", default=False)
# How many proxies of our own a request has come through: so many addresses at the end of its
# X-Forwarded-For are to be believed.
PROXIES = _at_least("PROXIES", 0, env.int("PROXIES", default=1 if HTTPS else 0))
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = ["^api/v1/health/"]  # a balancer asks without TLS
    SECURE_HSTS_SECONDS = 31_536_000
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Nothing inline and nothing from elsewhere, on any page, the admin's included: text that somebody
# smuggles into one runs nowhere.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        # A photo that is being sent is shown from the browser's own memory.
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

INSTALLED_APPS = [
    "fashionsim.staff.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "axes",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "auditlog",
    "accounts",
    "catalog",
    "similarity",
    "shop",
    "fashionsim",
    # Last, as its documentation asks: it deletes the files of deleted rows, after the commit.
    "django_cleanup.apps.CleanupConfig",
]

MIDDLEWARE = [
    # Before whatever may answer, so that a browser may read each answer.
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "fashionsim.errors.RequestSizeMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "fashionsim.preferences.PreferencesMiddleware",
    "accounts.audit.AuditMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Last, as its documentation asks: it answers for whoever has tried too many passwords.
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "fashionsim.urls"
WSGI_APPLICATION = "fashionsim.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "fashionsim.formats"
LOCALE_PATHS = [BASE_DIR / "fashionsim" / "locale"]
LANGUAGES = [
    ("en", "English"),
    ("fr", "français"),
    ("es", "español"),
    ("de", "Deutsch"),
    ("zh-hans", "简体中文"),
    ("ja", "日本語"),
]
# What a stranger has chosen; a person's choice is in their settings.
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = HTTPS
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "fashionsim.preferences.appearance",
                "fashionsim.preferences.noting",
            ],
        },
    },
]

# --- Sign-in --------------------------------------------------------------------------------

AUTH_PROVIDER = _one_of(
    "AUTH_PROVIDER", ("local", "supabase"), env.str("AUTH_PROVIDER", default="local")
)
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: it refuses who has tried too often
    "accounts.backends.PasswordBackend",
]
if AUTH_PROVIDER == "supabase":
    AUTHENTICATION_BACKENDS.append("accounts.backends.SupabaseBackend")
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_RESET_TIMEOUT = 3600  # seconds that the link in the e-mail is good for

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": dt.timedelta(
        minutes=_at_least("ACCESS_TOKEN_MINUTES", 1, env.int("ACCESS_TOKEN_MINUTES", 10))
    ),
    "REFRESH_TOKEN_LIFETIME": dt.timedelta(
        days=_at_least("REFRESH_TOKEN_DAYS", 1, env.int("REFRESH_TOKEN_DAYS", 14))
    ),
    "ISSUER": "fashionsim",
    "CHECK_REVOKE_TOKEN": True,  # a new password ends all that was signed in with the old one
}

# Failed sign-ins are counted in the database: for all processes, and whatever the cache is.
AXES_FAILURE_LIMIT = _at_least("SIGN_IN_ATTEMPTS", 1, env.int("SIGN_IN_ATTEMPTS", 10))
AXES_COOLOFF_TIME = dt.timedelta(
    minutes=_at_least("SIGN_IN_PAUSE_MINUTES", 1, env.int("SIGN_IN_PAUSE_MINUTES", 15))
)
# Of one name from one address: nobody can lock somebody else out from afar.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "accounts.throttles.address_of"
AXES_USERNAME_CALLABLE = "accounts.backends.attempted_name"
AXES_LOCKOUT_CALLABLE = "fashionsim.errors.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "csrfmiddlewaretoken"]

SUPABASE_URL = env.str("SUPABASE_URL", default="").rstrip("/")
SUPABASE_KEY = env.str("SUPABASE_KEY", default="")
SUPABASE_SERVICE_KEY = env.str("SUPABASE_SERVICE_KEY", default="")
SUPABASE_JWT_SECRETS = env.list("SUPABASE_JWT_SECRETS", default=[])
SUPABASE_TIMEOUT = _at_least("SUPABASE_TIMEOUT", 1, env.int("SUPABASE_TIMEOUT", default=5))

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="FashionSim <shop@localhost>")

# --- Database, cache, files -----------------------------------------------------------------


def _database() -> dict[str, Any]:
    database: dict[str, Any] = env.db_url(
        "DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'fashionsim.sqlite3'}"
    )
    if database["ENGINE"].endswith("sqlite3"):
        # Write-ahead logging lets readers go on while one writes; IMMEDIATE takes the write
        # lock at the start of a transaction, so that none fails half-way with "locked".
        database["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;"
            ),
        }
        # A file, even in tests: worker processes and threads have connections of their own.
        database["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    elif database["ENGINE"].endswith("mysql"):
        database["ENGINE"] = "fashionsim.mysql"
        database["OPTIONS"] = {"charset": "utf8mb4", "isolation_level": "read committed"}
        database["TEST"] = {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_bin"}
    database["CONN_MAX_AGE"] = 60
    database["CONN_HEALTH_CHECKS"] = True
    return database


DATABASES = {"default": _database()}

REDIS_URL = env.str("REDIS_URL", default="")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "fashionsim",
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Pictures lie in DATA_DIR/media, or in a bucket of an object store that speaks S3. boto3 finds its
# keys as it does anywhere: AWS_ACCESS_KEY_ID, ~/.aws, the machine's role.
S3_BUCKET = env.str("S3_BUCKET", default="")
S3_OPTIONS = {
    "bucket_name": S3_BUCKET,
    "location": env.str("S3_PREFIX", default=""),
    "endpoint_url": env.str("S3_ENDPOINT_URL", default="") or None,
    "region_name": env.str("S3_REGION", default="") or None,
}
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "catalog.object_store.ObjectStorage", "OPTIONS": S3_OPTIONS}
    if S3_BUCKET
    else {"BACKEND": "catalog.storage.AtomicFileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # serves a fresh checkout without a collectstatic step

# --- Pictures -------------------------------------------------------------------------------

MAX_UPLOAD_BYTES = _at_least("MAX_UPLOAD_BYTES", 1024, env.int("MAX_UPLOAD_BYTES", 20 * 2**20))
MAX_IMAGE_PIXELS = _at_least("MAX_IMAGE_PIXELS", 256, env.int("MAX_IMAGE_PIXELS", 50_000_000))
MAX_UPLOAD_FILES = _at_least("MAX_UPLOAD_FILES", 1, env.int("MAX_UPLOAD_FILES", 20))
ALLOW_IMAGE_URLS = env.bool("ALLOW_IMAGE_URLS", default=False)
# Pictures are fetched from, and webhooks sent to, this machine and its network as well.
ALLOW_LOCAL_ADDRESSES = env.bool("ALLOW_LOCAL_ADDRESSES", default=False)
MAX_REQUEST_BYTES = _at_least("MAX_REQUEST_BYTES", 1024, env.int("MAX_REQUEST_BYTES", 100 * 2**20))
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_REQUEST_BYTES
DATA_UPLOAD_MAX_NUMBER_FILES = MAX_UPLOAD_FILES
# The admin's forms name each chosen row: as many as are edited together, and room for the rest.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_500

# --- Detection, embedding, index ------------------------------------------------------------

DETECTOR = env.str("DETECTOR", default="compact")
EMBEDDER = env.str("EMBEDDER", default="compact")
INDEX = env.str("INDEX", default="annoy")
DEVICE = env.str("DEVICE", default="auto")
PRECISION = _one_of(
    "PRECISION", ("auto", "float32", "bfloat16"), env.str("PRECISION", default="auto")
)
# Crops given to a large embedder at once; 0 is what suits the device.
BATCH_SIZE = _at_least("BATCH_SIZE", 0, env.int("BATCH_SIZE", default=0))

FAISS_OPTIONS = {
    "bits": int(_one_of("FAISS_BITS", ("32", "16", "8"), env.str("FAISS_BITS", default="8")))
}

# Seconds to wait for Qdrant or PostgreSQL.
INDEX_TIMEOUT = _at_least("INDEX_TIMEOUT", 1, env.int("INDEX_TIMEOUT", default=10))

LARGE_EMBEDDER = {
    "models_dir": MODELS_DIR,
    "device": DEVICE,
    "precision": PRECISION,
    "batch_size": BATCH_SIZE or None,
}

# Constructor options of each backend that has any, by name.
BACKEND_OPTIONS: dict[str, dict[str, Any]] = {
    "groundingdino": {
        "models_dir": MODELS_DIR,
        "variant": _one_of(
            "GROUNDINGDINO_MODEL",
            ("swin_t", "swin_b"),
            env.str("GROUNDINGDINO_MODEL", default="swin_t"),
        ),
        "checkpoint": env.str("GROUNDINGDINO_CHECKPOINT", default="") or None,
        "text_encoder": env.str("GROUNDINGDINO_TEXT_ENCODER", default="bert-base-uncased"),
        "prompt": env.str(
            "GROUNDINGDINO_PROMPT",
            default="top,outwear,dress,pants,shorts,skirt,shoes,hat,bag,scarf",
        ),
        "box_threshold": env.float("GROUNDINGDINO_BOX_THRESHOLD", default=0.3),
        "text_threshold": env.float("GROUNDINGDINO_TEXT_THRESHOLD", default=0.25),
        "nms_threshold": env.float("GROUNDINGDINO_NMS_THRESHOLD", default=0.7),
        "device": DEVICE,
        "precision": PRECISION,
    },
    "compact": {"models_dir": MODELS_DIR, "device": DEVICE, "precision": PRECISION},
    "mobilenet_v2": {"models_dir": MODELS_DIR, "device": DEVICE},
    "resnet50": LARGE_EMBEDDER,
    "triplet": LARGE_EMBEDDER,
    "vit_b_16": LARGE_EMBEDDER,
    "dinov2": {**LARGE_EMBEDDER, "variant": env.str("DINOV2_VARIANT", default="vits14")},
    "open_clip": {
        **LARGE_EMBEDDER,
        "model": env.str("OPEN_CLIP_MODEL", default="marqo-fashionSigLIP"),
    },
    "faiss_flat": FAISS_OPTIONS,
    "faiss_ivf": FAISS_OPTIONS,
    "faiss_hnsw": FAISS_OPTIONS,
    "qdrant": {
        "url": env.str("QDRANT_URL", default=""),
        "api_key": env.str("QDRANT_API_KEY", default=""),
        "shards": _at_least("QDRANT_SHARDS", 1, env.int("QDRANT_SHARDS", default=1)),
        "replicas": _at_least("QDRANT_REPLICAS", 1, env.int("QDRANT_REPLICAS", default=1)),
        "timeout": INDEX_TIMEOUT,
    },
    "pgvector": {"url": env.str("PGVECTOR_URL", default=""), "timeout": INDEX_TIMEOUT},
}
# What the index engine is given: it chooses nothing of that by itself.
INDEX_OPTIONS = _numbers("INDEX_OPTIONS", env.list("INDEX_OPTIONS", default=[]))
BACKEND_OPTIONS[INDEX] = {**BACKEND_OPTIONS.get(INDEX, {}), **INDEX_OPTIONS}
# What a build must find of the 10 nearest: engines choose their own options by it.
INDEX_RECALL = _part("INDEX_RECALL", env.float("INDEX_RECALL", 0.99))
INDEX_KEEP_BUILDS = _at_least("INDEX_KEEP_BUILDS", 1, env.int("INDEX_KEEP_BUILDS", 3))
# So many new vectors are searched exactly before the worker builds the index anew by itself.
INDEX_TAIL_LIMIT = _at_least("INDEX_TAIL_LIMIT", 1, env.int("INDEX_TAIL_LIMIT", 5000))

# --- Searches -------------------------------------------------------------------------------

# A search whose best result is less alike counts as one without a good result.
GOOD_SIMILARITY = _part("GOOD_SIMILARITY", env.float("GOOD_SIMILARITY", 0.6))
SEARCH_NEEDS_SIGN_IN = env.bool("SEARCH_NEEDS_SIGN_IN", default=False)
QUERY_LIFETIME_DAYS = _at_least("QUERY_LIFETIME_DAYS", 1, env.int("QUERY_LIFETIME_DAYS", 30))

# What shoppers are shown and do (impressions, clicks, purchases) is noted, and kept for so long.
EVENTS = env.bool("EVENTS", default=True)
EVENTS_DAYS = _at_least("EVENTS_DAYS", 1, env.int("EVENTS_DAYS", 90))

# --- Runs and their worker ------------------------------------------------------------------

# A running run that has not reported for so long has lost its worker.
RUN_LEASE_SECONDS = _at_least("RUN_LEASE_SECONDS", 1, env.int("RUN_LEASE_SECONDS", 120))
RUN_MAX_ATTEMPTS = _at_least("RUN_MAX_ATTEMPTS", 1, env.int("RUN_MAX_ATTEMPTS", 3))
WORKERS = _at_least("WORKERS", 1, env.int("WORKERS", default=os.cpu_count() or 1))
TASK_TIMEOUT = _at_least("TASK_TIMEOUT", 1, env.int("TASK_TIMEOUT", 600))

Q_CLUSTER: dict[str, Any] = {
    "name": "fashionsim",
    "label": "Queue",
    "workers": WORKERS,
    # One waiting task per worker: a task that waits longer in a worker's own queue uses up its
    # time before `retry` there, and would run twice.
    "queue_limit": WORKERS,
    "bulk": 1,
    "timeout": TASK_TIMEOUT,
    "retry": TASK_TIMEOUT * 4,
    "max_attempts": 1,  # attempts are counted in the run's row, which outlives a killed worker
    "ack_failures": True,
    "recycle": 500,
    "poll": 0.2,
    "save_limit": -1,  # a run's row says what became of it: no second record
    "catch_up": False,
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}),
}

# --- How often one may ask ------------------------------------------------------------------

THROTTLES = {
    # All requests: of a stranger's address, a person, an API key.
    "stranger": _rate("THROTTLE_STRANGERS", env.str("THROTTLE_STRANGERS", default="1200/min")),
    "person": _rate("THROTTLE_PEOPLE", env.str("THROTTLE_PEOPLE", default="1200/min")),
    "key": _rate("THROTTLE_KEYS", env.str("THROTTLE_KEYS", default="100/s")),
    # Searches that a person or a stranger starts; what an address does about accounts.
    "search": _rate("THROTTLE_SEARCHES", env.str("THROTTLE_SEARCHES", default="60/min")),
    "event": _rate("THROTTLE_EVENTS", env.str("THROTTLE_EVENTS", default="120/min")),
    "sign-in": _rate("THROTTLE_SIGN_IN", env.str("THROTTLE_SIGN_IN", default="20/min")),
}

# --- API ------------------------------------------------------------------------------------

# The paths and shapes of the service before, for its front end (fashionsim/legacy).
LEGACY_API = env.bool("LEGACY_API", default=True)

# Sites whose scripts may ask: https://shop.example. They show tokens or keys, never our cookies.
CORS_ALLOWED_ORIGINS = env.list("CORS_ORIGINS", default=[])
CORS_EXPOSE_HEADERS = ["Retry-After"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        # First, so that a stranger gets a 401 that says how to sign in.
        "accounts.authentication.BasicAuthentication",
        "accounts.authentication.BearerAuthentication",
        "accounts.authentication.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttles.RequestThrottle"],
    "NUM_PROXIES": PROXIES,
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.ReadOrModelPermission"],
    "DEFAULT_PAGINATION_CLASS": "fashionsim.pagination.Pages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "fashionsim.ordering.Ordering",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "fashionsim.parsers.JSONParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "fashionsim.errors.problem_details",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "FashionSim",
    "DESCRIPTION": "Visual search for fashion shops: upload a photo, find what looks alike.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "OAS_VERSION": "3.1.0",
    "ENUM_NAME_OVERRIDES": {
        "ColourName": "catalog.models.SegmentColour.Name",
        "RunState": "similarity.models.Run.State",
        "IndexBuildState": "similarity.models.IndexBuild.State",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "fashionsim.openapi.add_problems",
    ],
}

# --- Logging --------------------------------------------------------------------------------

LOG_LEVEL = _one_of(
    "LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), env.str("LOG_LEVEL", default="INFO")
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"run": {"()": "similarity.logs.RunFilter"}},
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name} [{run}] {message}", "style": "{"}
    },
    "handlers": {
        # On stderr: what a command prints on stdout is its answer.
        "console": {"class": "logging.StreamHandler", "filters": ["run"], "formatter": "line"}
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
