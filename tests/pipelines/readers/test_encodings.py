"""Text in the encodings that Chinese files come in; what is no text is said by place, and never shown."""

from __future__ import annotations

import codecs
import gzip
import itertools
import random
from pathlib import Path

import pytest

from pipelines.readers import encoding_of, read
from pipelines.readers.encodings import Utf8Check
from schemas.errors import SourceError
from tests.pipelines.readers.files import good, landed, rows, source

TEXT = "登记号,姓名\n1,玄武湖\n2,𠮷野家\n" + "".join(f"{i},某某某先生与女士\n" for i in range(3, 3000))
PLAIN = TEXT.replace("𠮷", "吉")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_declared(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode(encoding))
    found = good(path, "csv", ["姓名"], encoding=encoding)
    assert found[:2] == [("玄武湖",), ("𠮷野家",)]
    assert len(found) == 2999


@pytest.mark.parametrize(
    ("encoding", "text"), [("gbk", PLAIN), ("big5", "登記號,姓名\n1,玄武湖\n" + "2,某某先生與女士\n" * 50)]
)
def test_declared_chinese(tmp_path: Path, encoding: str, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))
    assert good(path, "csv", ["姓名"], encoding=encoding)[0] == ("玄武湖",)


@pytest.mark.parametrize(
    ("encoding", "detected", "guessed"),
    [
        ("utf-8", "utf-8", False),
        ("utf-8-sig", "utf-8", False),
        ("utf-16", "utf-16", False),
        ("gb18030", "gb18030", True),
    ],
)
def test_detected(tmp_path: Path, encoding: str, detected: str, guessed: bool) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(PLAIN.encode(encoding))
    assert encoding_of(landed(path, "csv"), source("csv")) == (detected, guessed)
    assert len(good(path, "csv", ["姓名"])) == 2999


@pytest.mark.parametrize("text", ["id,v\n1,甲\n", "id,v\n2,乙字\n", "name\n李\n", "编号,名称\n1,玄武区\n"])
def test_little_text_is_taken_for_gb18030(tmp_path: Path, text: str) -> None:
    """Of few characters nothing can be told; UTF-16 without a mark has zero bytes beside every comma."""
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("gb18030"))
    assert encoding_of(landed(path, "csv"), source("csv")) == ("gb18030", True)


@pytest.mark.parametrize("encoding", ["big5", "utf-16-le"])
def test_enough_text_is_told_apart(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("編號,名稱,地址\n" + "1,臺北市中正區公所,忠孝東路一段\n" * 20).encode(encoding))
    assert encoding_of(landed(path, "csv"), source("csv")) == (encoding, True)


def test_a_guess_is_made_where_utf8_breaks(tmp_path: Path) -> None:
    """The first megabytes are ASCII; and what is not UTF-8 crosses a block."""
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"a,b\n" + b"1,abc\n" * 500_000 + "2,南京市玄武区人民政府办公室\n".encode("gb18030") * 200
    )
    assert encoding_of(landed(path, "csv"), source("csv")) == ("gb18030", True)
    assert good(path, "csv", ["b"])[-1] == ("南京市玄武区人民政府办公室",)


def test_a_character_may_cross_a_block(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for shift in range(4):
        text = "a,b\n" + "x" * shift + "," + "玄武" * 600_000 + "\n"
        for encoding in ("utf-8", "gb18030", "utf-16"):
            path.write_bytes(text.encode(encoding))
            assert encoding_of(landed(path, "csv"), source("csv", encoding=encoding)) == (encoding, False)
            assert rows(path, "csv", ["b"], encoding=encoding)[0]["_error"] is not None  # a cell beyond 1 MiB


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("lines", [10, 2_000_000])
def test_wrong_bytes_are_said_by_place(tmp_path: Path, lines: int, compress: bool) -> None:
    good_part = b"a,b\n" + b"1,abc\n" * lines
    secret = b"320102199001011234"
    data = good_part + secret + b",\xff\xfe\n" + b"1,x\n"
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(data, 1) if compress else data)
    with pytest.raises(SourceError) as caught:
        list(read(landed(path, "csv", encoding="utf-8"), source("csv"), ["a"]))
    message = str(caught.value)
    assert f"byte {len(good_part) + len(secret) + 1} is not text in utf-8" in message
    assert caught.value.place["row"] == lines + 2
    assert secret.decode() not in message
    assert caught.value.__cause__ is None


def test_cut_in_the_middle_of_a_character(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("a\n玄武".encode()[:-1])
    with pytest.raises(SourceError, match="byte 5 is not text in utf-8"):
        rows(path, "csv", ["a"], encoding="utf-8")


def test_declared_wrongly(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode("gb18030"))
    with pytest.raises(SourceError, match="is not text in utf-8"):
        rows(path, "csv", ["姓名"], encoding="utf-8")
    path.write_bytes(codecs.BOM_UTF8 + TEXT.encode())
    with pytest.raises(SourceError, match="begins with the byte order mark of UTF-8"):
        rows(path, "csv", ["姓名"], encoding="gb18030")
    with pytest.raises(SourceError, match="there is no encoding 'gb1803'"):
        rows(path, "csv", ["姓名"], encoding="gb1803")


def test_noise_is_an_error_or_rows_but_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for seed in range(30):
        path.write_bytes(b"a,b\n" + random.Random(seed).randbytes(3000))
        try:
            rows(path, "csv", ["a"])
        except SourceError as error:
            assert error.place["file"] == "a.csv"


def test_real_gb2312_text(shared: Path) -> None:
    path = shared / "messy-charset-mnbvc" / "fixtures" / "10.txt"
    encoding, guessed = encoding_of(landed(path, "csv"), source("csv"))
    assert guessed
    assert encoding == "gb18030"


def test_real_latin1_is_no_chinese(shared: Path) -> None:
    path = shared / "messy-csvkit" / "examples" / "test_latin1.csv"
    assert good(path, "csv", ["c"])[-1] == ("©",)


@pytest.mark.parametrize("seed", range(20))
def test_utf8_is_judged_as_python_judges_it_wherever_chunks_end(seed: int) -> None:
    """Of text, of text with a byte changed, and of noise, to the very byte."""
    chance = random.Random(seed)
    for _ in range(500):
        text = chance.choices("aé\u0800中\uffff𠮷\U0010ffff\n", k=chance.randrange(12))
        data = bytearray("".join(text).encode())
        if data and chance.random() < 0.6:
            data[chance.randrange(len(data))] = chance.choice(b"\x00\x80\xc0\xe0\xed\xf0\xf4\xf5\xff")
        cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(5)))
        assert _judged(Utf8Check(), bytes(data), cuts) == _judged(None, bytes(data), cuts)


def _judged(check: Utf8Check | None, data: bytes, cuts: list[int]) -> int | None:
    """The place of the first byte that is no UTF-8; None where there is none."""
    decoder, taken = codecs.getincrementaldecoder("utf-8")("strict"), 0
    parts = [data[a:b] for a, b in itertools.pairwise([0, *cuts, len(data)])]
    try:
        for number, part in enumerate(parts, 1):
            taken += len(part)
            if check:
                check.take(part, final=number == len(parts))
            else:
                decoder.decode(part, final=number == len(parts))
    except UnicodeDecodeError as error:
        return taken - len(error.object) + error.start
    return None
