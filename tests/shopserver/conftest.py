"""As with the API: the backends that need neither torch nor weights."""

from tests.api.conftest import plain_backends  # noqa: F401  (a fixture)
