"""The dashboard: static files, which speak to the API as any other client does."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import StaticFiles

FOLDER: Final = Path(__file__).parents[1] / "web"
_PAGE: Final = "index.html"
_IMPORT_MAP: Final = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)

router = APIRouter(include_in_schema=False)
_files = StaticFiles(directory=FOLDER)


def _policy() -> str:
    """What the page may load: its own files, and what the API says (Content Security Policy, level 3).

    The import map is the one script inside the page, for a browser takes it from nowhere else: its hash allows it.
    """
    maps = _IMPORT_MAP.findall((FOLDER / _PAGE).read_text(encoding="utf-8"))
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in maps]
    scripts = " ".join(f"'sha256-{found}'" for found in hashes)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


HEADERS: Final = {
    # Asked for again each time, by ETag: after an update nobody has half of the old page.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _policy(),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@router.get("/")
@router.head("/")
async def show_dashboard(request: Request) -> Response:
    """Send the page."""
    return await _send(_PAGE, request)


@router.get("/web/{path:path}")
@router.head("/web/{path:path}")
async def send_dashboard_file(path: str, request: Request) -> Response:
    """Send what the page is made of."""
    return await _send(path, request)


async def _send(path: str, request: Request) -> Response:
    reply = await _files.get_response(path, request.scope)
    reply.headers.update(HEADERS)
    return reply
