"""The services of the end-to-end tests, started for these files alone."""

from tests.e2e.conftest import (  # noqa: F401 - fixtures
    embedded_service,
    production_service,
    start_service,
    uploads,
)
