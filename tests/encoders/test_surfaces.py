import pytest

from kae.encoders.text.normal_form import normalise
from kae.encoders.text.surfaces import surface_of


@pytest.mark.parametrize(
    ("text", "words", "surface"),
    [
        ("Ultima™ HD-15, 1.5m", "hd 15", "HD-15"),
        ("Crema di CAFFÈ (250 g)", "caffè", "CAFFÈ"),
        ("Soft-Touch, soft touch", "soft touch", "Soft-Touch"),
        ("bluetooth tooth brush", "tooth", "tooth"),
        ("tooth bluetooth", "tooth", "tooth"),
        ("罗技无线鼠标 黑色", "无 线 鼠 标", "无线鼠标"),
        ("16\xa0GB (16 GB)", "16 gb", "16\xa0GB"),
        ("ＵＳＢ cable", "usb", "ＵＳＢ"),
        ("pack of 2.5 oz", "2.5 oz", "2.5 oz"),
    ],
)
def test_a_word_is_found_as_it_was_written(text: str, words: str, surface: str) -> None:
    assert surface_of(text, words) == surface
    assert surface in text
    assert normalise(surface) == words


@pytest.mark.parametrize(("text", "words"), [("", "x"), ("red shoe", "shoe red"), ("reds", "red")])
def test_what_does_not_stand_in_a_text_has_no_surface(text: str, words: str) -> None:
    assert surface_of(text, words) is None
