"""A form with one file in it, read as it comes (multipart/form-data, RFC 7578)."""

from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InvalidRequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_BESIDE_THE_FILE: Final = 64 << 10
"""Bytes of boundaries, headers, other fields, and whatever else surrounds the file."""
_MOST_HEADERS: Final = 16
_MOST_OF_A_HEADER: Final = 4096


class FileForm:
    """Takes in the body of a request and gives out the one file that is in it.

    Attributes:
        filename: What the client calls the file; None as long as it has not begun.
        content: Of the file, as far as it has come and was not taken.
        complete: Whether the form has ended.
    """

    def __init__(self, content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise InvalidRequestError("The Content-Type names no boundary: leave that header to your HTTP library.")
        self.filename: str | None = None
        self.content = bytearray()
        self.complete = False
        self._fields: dict[str, bytearray] = {}
        self._field: bytearray | None = None
        self._headers: dict[bytes, bytes] = {}
        self._header, self._value = bytearray(), bytearray()
        self._beside = 0
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._headers.clear,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_part,
            "on_part_data": self._take,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(
                boundary, callbacks, max_header_count=_MOST_HEADERS, max_header_size=_MOST_OF_A_HEADER
            )
        except FormParserError as error:
            raise _malformed() from error

    def feed(self, piece: bytes) -> None:
        """Take in a piece of the body.

        Raises:
            InvalidRequestError: If it is no form, or has anything but one file and a few small fields.
        """
        self._beside += len(piece)
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _malformed() from error
        if self._beside > MOST_BESIDE_THE_FILE:
            raise InvalidRequestError(
                f"There are more than {MOST_BESIDE_THE_FILE:,} bytes beside the file: send a form with one file, and "
                "the field sha256 if you like."
            )

    def take(self, size: int) -> bytes:
        """Give out the next bytes of the file."""
        taken = bytes(self.content[:size])
        del self.content[:size]
        return taken

    def field(self, name: str) -> str | None:
        """The value of another field of the form.

        Raises:
            InvalidRequestError: If it is no text.
        """
        try:
            return self._fields[name].decode() if name in self._fields else None
        except UnicodeDecodeError as error:
            raise InvalidRequestError.of_field(name, "must be text in UTF-8") from error

    def _end_header(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _begin_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode(errors="replace")
        if b"filename" not in options:
            self._field = self._fields.setdefault(name, bytearray())
            return
        if self.filename is not None:
            raise InvalidRequestError("There are several files: send one with each request.")
        self._field = None
        self.filename = options[b"filename"].decode(errors="replace")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self.content += data[start:end]
            self._beside -= end - start
        else:
            self._field += data[start:end]

    def _end(self) -> None:
        self.complete = True


def _malformed() -> InvalidRequestError:
    return InvalidRequestError("The body is no well-formed multipart/form-data: let your HTTP library make it.")
