"""Files of people to invite, good and bad: the operator's command and the console's page read them in the same way."""

from __future__ import annotations

GOOD = (
    "\ufeffReference, language ,return_url,requests\r\n"
    'order-1,en,https://app.example.com/done,"front:Image; voice:Audio?:Say ""hello"": twice"\r\n'
    "\r\n"
    '"订单,2",,,\r\n'
    '" =order-3 ",zh-Hant,,\r\n'
).encode()
#: The bodies of the requests by line.
BODIES = {
    2: {
        "start": "on_open",
        "reference": "order-1",
        "language": "en",
        "return_url": "https://app.example.com/done",
        "requests": [
            {"name": "front", "asset_type": "Image", "required": True},
            {"name": "voice", "asset_type": "Audio", "required": False, "hint": 'Say "hello": twice'},
        ],
    },
    4: {"start": "on_open", "reference": "订单,2"},
    5: {"start": "on_open", "reference": "=order-3", "language": "zh-Hant"},
}
KEYS = {
    2: "invite-a8ecf32300663a716bd8b397d87eb2a50e8e3bd7471b9607e877f951587919cd",
    4: "invite-3a56539757b37c996b9bd5ec3cb2db89b17b92de38bf5f48f57cea1773d9febe",
    5: "invite-f3da6cde21b043a5072d360d79ec31b0a10548d7f1132422d88817f420601e04",
}
#: Each bad file, and the lines and columns that are named.
BAD: dict[str, tuple[bytes, list[tuple[int, str]]]] = {
    "empty": (b"", [(0, "")]),
    "blank": (b"\r\n \n", [(0, "")]),
    "no people": (b"reference\n", [(0, "")]),
    "no header": (b"order-1,en\norder-2,en\n", [(1, "")]),
    "separated by semicolons": (b"reference;language\norder-1;en\n", [(1, "")]),
    "unknown column": (b"reference,phone\norder-1,1\n", [(1, "")]),
    "column twice": (b"reference,language,language\norder-1,en,en\n", [(1, "language")]),
    "no reference column": (b"language\nen\n", [(1, "reference")]),
    "too many": (b"reference\n" + b"".join(b"order-%d\n" % each for each in range(201)), [(202, "")]),
    "too large": (b"reference\n" + b"x" * 1_000_000, [(0, "")]),
    "not UTF-8": ("reference\norder-1\n订单\n".encode("gbk"), [(3, "")]),
    "UTF-16": ("reference\norder-1\n".encode("utf-16"), [(1, "")]),
    "open quote": (b'reference\norder-1\n"order-2\norder-3\n', [(3, "")]),
    "text after a quote": (b'reference\n"order-1"x\n', [(2, "")]),
    "too few fields": (b"reference,language\norder-1\norder-2,en\n", [(2, "")]),
    "too many fields": (b"reference\norder-1,en\n", [(2, "")]),
    "no reference": (b"reference,language\n,en\norder-2,en\n", [(2, "reference")]),
    "long reference": (b"reference\n" + b"x" * 129 + b"\n", [(2, "reference")]),
    "line break in a reference": (b'reference\n"order\n1"\norder-2\n', [(2, "reference")]),
    "unknown language": (b"reference,language\norder-1,zh\norder-2,fr\n", [(3, "language")]),
    "return to http": (b"reference,return_url\norder-1,http://app.example.com\n", [(2, "return_url")]),
    "return to a fragment": (b"reference,return_url\norder-1,https://app.example.com/#x\n", [(2, "return_url")]),
    "not a URL": (b"reference,return_url\norder-1,app.example.com\n", [(2, "return_url")]),
    "request without type": (b"reference,requests\norder-1,front\n", [(2, "requests")]),
    "request of another type": (b"reference,requests\norder-1,front:image\n", [(2, "requests")]),
    "request without name": (b"reference,requests\norder-1,:Image\n", [(2, "requests")]),
    "request twice": (b"reference,requests\norder-1,a:Image;a:Video\n", [(2, "requests")]),
    "long hint": (b"reference,requests\norder-1,a:Image:" + b"x" * 201 + b"\n", [(2, "requests")]),
    "21 requests": (
        b"reference,requests\norder-1," + b";".join(b"f%d:Image" % each for each in range(21)) + b"\n",
        [(2, "requests")],
    ),
    "same reference": (b"reference,language\norder-1,en\norder-2,en\norder-1,zh\n", [(4, "reference")]),
    "several": (
        b'reference,language,return_url\n"two\nlines",fr,https://app.example.com\norder-2,fr,x\n,,\norder-2,en,\n',
        [(2, "language"), (2, "reference"), (4, "language"), (4, "return_url"), (6, "reference")],
    ),
}
