"""Lists, page by page."""

from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request, Response

from app.api.problems import problems
from app.api.replies import send
from app.schemas.listing import ListQuery
from app.schemas.work import Reply
from app.services.context import Context
from app.services.reading import read_page
from app.store.records import WorkRecord

PAGE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "headers": {
            "Link": {
                "description": 'The address of the next page with `rel="next"` (RFC 8288), where there is one.',
                "schema": {"type": "string"},
            }
        }
    },
    **problems(422),
}


def send_page(
    request: Request, context: Context, kind: type[WorkRecord], query: ListQuery, reply: type[Reply]
) -> Response:
    """One page of a list, and the address of the next one; the session of the context is closed."""
    with context.session:
        page = read_page(context, kind, query)
    if page.next is None:
        return send(reply, page)
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    address = f"{request.url.path}?{urlencode([*asked, ('cursor', page.next)])}"
    return send(reply, page, headers={"Link": f'<{address}>; rel="next"'})
