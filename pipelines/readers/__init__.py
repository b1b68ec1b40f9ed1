"""From a landed file to Arrow record batches, whatever the format: one way in, `read`.

opening     bytes of a landed file: gzip and zip taken off, size bounded
encodings   text in any encoding as UTF-8, or an error that says where it breaks
header      column names: several header rows, what is missing, what is new
malformed   rows that cannot be used, kept with their text and a reason
delimited, jsontext, workbook, columnar    the formats
"""

from pipelines.readers.opening import is_packed, members, open_bytes
from pipelines.readers.read import Opening, Scan, encoding_of, member_of, open_text, read, scan

__all__ = [
    "Opening",
    "Scan",
    "encoding_of",
    "is_packed",
    "member_of",
    "members",
    "open_bytes",
    "open_text",
    "read",
    "scan",
]
