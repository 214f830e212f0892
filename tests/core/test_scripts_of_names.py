"""Names in scripts that are composed, have two syllabaries or no spaces; ids and UIDs in shorter forms."""

import unicodedata

import pytest

from deid.core.folding import fold, read
from deid.core.identifiers import Identifier, Kind, KnownIdentifiers


def patient(name: str, *ids: str) -> KnownIdentifiers:
    return KnownIdentifiers(
        [Identifier(Kind.PATIENT_NAME, name), *(Identifier(Kind.ID, value) for value in ids)]
    )


def apart(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    ("name", "text", "rest"),
    [
        ("Hong^Gildong=洪^吉洞=홍^길동", apart("홍길동 CT"), "CT"),
        (apart("홍^길동"), "홍길동 CT", "CT"),
        ("홍^길동", apart("CT 길동"), "CT"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "ヤマダタロウ CT", "CT"),
        ("ヤマダ^タロウ", "やまだ たろう CT", "CT"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "CT やまだ", "CT"),
        ("ヤマダ^タロウ", "CT ﾔﾏﾀﾞ", "CT"),
        ("สมชาย^ใจดี", "นายสมชาย CT", "นาย CT"),
        ("สมชาย^ใจดี", "CT ใจดี", "CT"),
        ("MÜLLER^ANNE-MARIE", "CT Annemarie", "CT"),
        ("MÜLLER^ANNE-MARIE", apart("CT müller"), "CT"),
        ("DUVIVIÉ^ANN", apart("CT duvivié"), "CT"),
        ("राहुल^शर्मा", "CT राहुल", "CT"),
        ("राहुल^शर्मा", "शर्मा CT", "CT"),
    ],
)
def test_a_name_goes_however_its_script_is_written(name: str, text: str, rest: str) -> None:
    one = patient(name)
    assert one.clean(text) == rest
    assert one.residue(text) is not None
    assert one.residue(rest) is None


def test_what_is_folded_has_its_place_in_the_source() -> None:
    text = apart("홍길") + " ㌔ " + apart("é")
    view = read(text)
    assert view.words == ["홍길", "きろ", "e"]
    assert [text[a:b] for a, b in zip(view.starts, view.ends, strict=True)] == [
        apart("홍길"),
        "㌔",
        apart("é"),
    ]
    assert view.span(0, 2) == (0, len(apart("홍길")))
    assert fold(text) == view.folded


def test_an_id_goes_with_and_without_its_leading_zeros() -> None:
    one = patient("Doe^Jane", "0012345")
    assert one.clean("knee 12345, 012345 and 0012345 left") == "knee and left"
    assert one.clean("knee 123456 and 2345 left") == "knee 123456 and 2345 left"
    assert patient("Doe^Jane", "0001234").clean("knee 1234 left") == "knee 1234 left"


@pytest.mark.parametrize("uid", ["1.2.999.4417.2.1", "1.3.6.1.4.1.5", "2.16.840.1.5.77"])
def test_short_uids_go_by_their_root(uid: str) -> None:
    assert patient("Doe^Jane").clean(f"see {uid} left") == "see left"


@pytest.mark.parametrize("text", ["1.2.3.4.5.6", "version 1.2.0.4.1.9", "1.2.840.10008.1.2.1"])
def test_numbers_of_chapters_and_classes_stay(text: str) -> None:
    assert patient("Doe^Jane").clean(f"see {text} left") == f"see {text} left"
