"""The encoding of a text: told from its bytes, or asked for."""

from pathlib import Path

import pytest

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.files.encodings import decoded, read_encoding
from gammatune.pipeline.data.files.reading import read_table


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "name,city\nAda,Århus\nBo,Malmö\n"),
        ("cp1252", "n;ort\n1;München\n2;Köln\n3;Düsseldorf\n4;Nürnberg\n"),
        ("cp1252", "a,b\n1,naïve\n2,café\n3,€ 5\n"),
        ("cp1251", "имя,город\nАнна,Москва\nИван,Казань\n"),
        ("koi8_r", "имя,город\nАнна,Москва\nИван,Санкт-Петербург\nПётр,Казань\n"),
        ("cp1250", "imię,miasto\nŁukasz,Łódź\nŻaneta,Gdańsk\n"),
        ("cp1250", "a,b\nČeské Budějovice,1\nPlzeň,2\nŽďár,3\nÚstí,4\n"),
        ("cp1253", "όνομα,πόλη\nΜαρία,Αθήνα\nΓιώργος,Θεσσαλονίκη\n"),
        ("cp1254", "ad,şehir\nAyşe,İstanbul\nIşık,Muğla\nÖzgür,Eskişehir\n"),
        ("cp932", "名前,都市\n太郎,東京\n花子,大阪\n次郎,名古屋\n"),
        ("gb18030", "姓名,城市\n张三,北京\n李四,上海\n王五,广州\n"),
        ("big5", "姓名,城市\n張三,台北\n李四,高雄\n"),
        ("euc_kr", "이름,도시\n김철수,서울\n이영희,부산\n"),
        ("mac_roman", "name,city\nJosé,Málaga\nBjörn,Göteborg\nZoë,Köln\n"),
        ("cp850", "n;ort\n1;München\n2;Köln\n3;Düsseldorf\n4;Nürnberg\n"),
        # a byte that Windows has no sign for
        ("latin_1", "n;ort\n" + "1;München\n2;Köln\n3;Café\n" * 3 + "5;x\x81y\n"),
    ],
)
def test_a_guess_is_right_and_said(encoding: str, text: str) -> None:
    said: list[str] = []
    found = read_encoding(text.encode(encoding), None, "t.csv", said)
    assert decoded(text.encode(encoding), found) == text
    assert f"was read as {found}, such as" in said[0]
    assert "--encoding says otherwise" in said[0]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_what_needs_no_guess_is_not_said(encoding: str) -> None:
    text = "name,city\nAda,Aarhus\n" if encoding == "ascii" else "name,city\nAda,Århus\n"
    said: list[str] = []
    found = read_encoding(text.encode(encoding), None, "t.csv", said)
    assert (decoded(text.encode(encoding), found), said) == (text, [])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(encoding: str) -> None:
    said: list[str] = []
    assert read_encoding("name,city\nAda,Århus\n".encode(encoding), None, "t.csv", said) == encoding
    assert "by the zeros in it" in said[0]


def test_utf_8_in_which_a_byte_is_broken() -> None:
    content = "a,b\n1,Müller\n".encode() * 30 + b"x,\xfc\n"
    said: list[str] = []
    assert decoded(content, read_encoding(content, None, "t.csv", said)).endswith("x,\ufffd\n")
    assert said == ["t.csv is in UTF-8 but for a few bytes, the first in line 61: they became \ufffd."]


def test_the_encoding_that_is_asked_for(tmp_path: Path) -> None:
    said: list[str] = []
    assert read_encoding("ü".encode("cp1250"), "windows-1250", "t.csv", said) == "cp1250"
    assert read_encoding("ü".encode("utf-8-sig"), "UTF8", "t.csv", said) == "utf-8-sig"
    assert said == []
    with pytest.raises(
        InvalidArgument, match="--encoding cp12522: there is no such encoding; perhaps cp1252"
    ):
        read_encoding(b"a", "cp12522", "t.csv", said)
    with pytest.raises(InvalidArgument, match="no such encoding"):
        read_encoding(b"a", "hex", "t.csv", said)
    with pytest.raises(InvalidData, match=r"t.csv is not in utf-8: line 3 holds b'\\xfc'"):
        read_encoding(b"a\nb\n\xfc", "utf-8", "t.csv", said)


def test_bytes_of_another_kind_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n3,\x004\n")
    with pytest.raises(InvalidData, match="a byte of zero stands in line 3"):
        read_table(tmp_path / "t.csv", [])
