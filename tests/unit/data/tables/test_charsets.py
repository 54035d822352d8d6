import codecs
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deposit.data.tables import plaintext
from deposit.data.tables.plaintext import codec_of, place, utf8
from deposit.errors import SourceError


def read(content: bytes, codec: str | None = None) -> str:
    file = utf8(io.BytesIO(content), io.BytesIO, codec).file
    file.seek(0)
    return file.read().decode("utf-8-sig")


@pytest.mark.parametrize(
    "label", ["UTF-8", "utf8", "windows-1252", "cp1250", "ISO-8859-2", "windows-1251", "utf-16", "shift_jis"]
)
def test_charsets_are_known_by_their_names(label: str) -> None:
    codec = codec_of(label)
    assert codec
    assert "ab".encode(codec)


@pytest.mark.parametrize(
    "label", ["klingon", "", "base64", "rot13", "utf-7", "unicode_escape", "idna", "a\0b", "zlib", "ä"]
)
def test_what_is_no_charset_is_none(label: str) -> None:
    assert codec_of(label) is None


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_tells_without_a_word(codec: str) -> None:
    assert read("Łódź;Иван\n".encode(codec)) == "Łódź;Иван\n"
    assert read("Łódź;Иван\n".encode(codec), "cp1252") == "Łódź;Иван\n"


@pytest.mark.parametrize(
    ("codec", "text"), [("cp1250", "Łódź;Žižkov\n"), ("cp1251", "Иван\n"), ("cp1252", "Jürgen €\n")]
)
def test_a_stated_charset_is_honoured(codec: str, text: str) -> None:
    assert read(text.encode(codec), codec) == text


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("chunk", [3, 4, 5, 2**20])
def test_other_bytes_are_refused_with_line_and_byte(end: bytes, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plaintext, "CHUNK", chunk)
    content = "Jürgen".encode() + end + b"abcd" + end + b"Jos\xe9 x" + end
    with pytest.raises(SourceError, match=r"^line 3, byte 4 \(0xe9\) is not UTF-8: save the file as UTF-8, or state"):
        read(content)
    with pytest.raises(SourceError, match=r"^line 3, byte 4 \(0xe9\) is not UTF-8"):
        read(content[: content.index(b"\xe9") + 1])


def test_bytes_that_a_stated_charset_does_not_have_are_refused_by_line() -> None:
    with pytest.raises(SourceError, match=r"^line 2 has bytes that are not cp1252: state the right charset"):
        read(b"a\nb\x81\n", "cp1252")


@pytest.mark.parametrize(("content", "codec"), [(b"a\nb\0\n", None), ("a\nb\0\n".encode("utf-16"), None)])
def test_a_nul_is_no_text(content: bytes, codec: str | None) -> None:
    with pytest.raises(SourceError, match=r"^line \d holds a NUL"):
        read(content, codec)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_named(codec: str) -> None:
    with pytest.raises(SourceError, match=f"^this looks like {codec} without its byte-order mark: state that charset"):
        read("age;job\n".encode(codec), None)
    assert read("age;job\n".encode(codec), codec) == "age;job\n"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_what_comes_out_is_what_was_written(text: str) -> None:
    for codec in ("utf-8", "utf-16", "utf-32"):
        assert read(codecs.BOM_UTF8 + text.encode() if codec == "utf-8" else text.encode(codec)) == text


@given(st.text(st.sampled_from("ab\n\r"), max_size=12), st.integers(1, 5))
def test_a_place_is_counted_in_lines_and_bytes(text: str, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plaintext, "CHUNK", chunk)
        before = text.replace("\r\n", "\n").replace("\r", "\n")
        last = max(text.rfind("\n"), text.rfind("\r"))
        assert place(io.BytesIO((text + "x").encode()), len(text)) == (before.count("\n") + 1, len(text) - last)
