from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.masks import apply
from schemas.model import Partial
from tests.pipelines.masks.fields import field


@pytest.mark.parametrize(
    ("mask", "value", "expected"),
    [
        (Partial(first=3, last=4), "13812345678", "138****5678"),
        (Partial(first=1), "欧阳修", "欧**"),
        (Partial(last=1), "欧阳修", "**修"),
        (Partial(), "欧阳修", "***"),
        (Partial(first=1, last=1), "𠮷野👍家", "𠮷**家"),
        (Partial(first=2, char="●"), "南京市", "南京●"),
        (Partial(first=3, last=4), "1381234", "*******"),
        (Partial(first=3, last=4), "13812345", "********"),
        (Partial(first=3, last=4), "138123456", "*********"),
        (Partial(first=3, last=4), "1381234567", "**********"),
        (Partial(first=6), "望江路201号", "*******"),
        (Partial(first=6), "望江路201号7幢", "望江路201***"),
        (Partial(first=1, last=1), "王小明", "王*明"),
        (Partial(first=5, last=5), "12345ABCD67890", "12345****67890"),
        (Partial(first=1), "王", "*"),
        (Partial(first=1), "", ""),
        (Partial(first=1), "王\0\n小", "王***"),
    ],
)
def test_the_middle_is_hidden(mask: Partial, value: str, expected: str) -> None:
    assert apply(pa.array([value]), mask, field()).to_pylist() == [expected]
