"""The dashboard, and the API's document as a page: static files, which speak to the API as any other client does."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

FOLDER: Final = Path(__file__).parents[1] / "web"
_PAGE: Final = "index.html"
_SCRIPT_INSIDE: Final = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_MARKS: Final = {
    # Asked for again each time, by ETag: after an update nobody has half of the old page.
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _policy(page: str, *styles: str) -> str:
    """What a page may load: this service's files, and what the API says (Content Security Policy, level 3).

    A script inside the page is allowed by its hash and by nothing else.

    Args:
        page: The page's text.
        styles: Where styles may be, beside the service's files.
    """
    inside = (hashlib.sha256(script.encode()).digest() for script in _SCRIPT_INSIDE.findall(page))
    scripts = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in inside)
    directives = {
        "default-src": "'none'",
        "script-src": f"'self' {scripts}",
        "style-src": " ".join(("'self'", *styles)),
        "img-src": "'self' blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


_HEADERS: Final = _MARKS | {"Content-Security-Policy": _policy((FOLDER / _PAGE).read_text(encoding="utf-8"))}
_REFERENCE: Final = get_swagger_ui_html(
    openapi_url="openapi.json",
    title="OT3L: API",
    swagger_js_url="web/reference/swagger-ui-bundle.js",
    swagger_css_url="web/reference/swagger-ui.css",
    swagger_favicon_url="web/icon.svg",
)
# The library draws its icons with styles of their own.
_REFERENCE_HEADERS: Final = _MARKS | {
    "Content-Security-Policy": _policy(bytes(_REFERENCE.body).decode(), "'unsafe-inline'")
}

router = APIRouter(include_in_schema=False)
_files = StaticFiles(directory=FOLDER)
_reference_files = StaticFiles(packages=[("fastapi_offline", "static")])


@router.get("/")
@router.head("/")
async def show_dashboard(request: Request) -> Response:
    """Send the page."""
    return await _send(_files, _PAGE, request)


@router.get("/docs")
@router.head("/docs")
async def show_reference() -> Response:
    """Send the API's document as a page to read and to try."""
    return HTMLResponse(_REFERENCE.body, headers=_REFERENCE_HEADERS)


@router.get("/web/reference/{name}")
@router.head("/web/reference/{name}")
async def send_reference_file(name: str, request: Request) -> Response:
    """Send what that page is made of."""
    return await _send(_reference_files, name, request)


@router.get("/web/{path:path}")
@router.head("/web/{path:path}")
async def send_dashboard_file(path: str, request: Request) -> Response:
    """Send what the dashboard is made of."""
    return await _send(_files, path, request)


async def _send(files: StaticFiles, path: str, request: Request) -> Response:
    reply = await files.get_response(path, request.scope)
    reply.headers.update(_HEADERS)
    return reply
