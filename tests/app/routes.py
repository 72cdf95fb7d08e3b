"""Every address of the service, those included that its document does not show."""

from fastapi.routing import iter_route_contexts

from app.api.gate import is_open
from app.main import create_app
from app.settings import Settings


def guarded_routes():
    """All (method, path) that ask for a key; paths as templates."""
    found = {
        (method, route.path)
        for route in iter_route_contexts(create_app(Settings()).routes)
        for method in route.methods or ()
        if not is_open(route.path)
    }
    return sorted(found)
