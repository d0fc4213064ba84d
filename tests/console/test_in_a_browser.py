"""The console in a real browser, against a running index."""

import re

import pytest
from kafka import KafkaProducer
from playwright.sync_api import Page, expect
from tests.console.awaited import until

from kae.deploy.cluster import Cluster

SIZES = [(1280, 900), (390, 844)]
PATHS = ["/", "/terms", "/terms/new", "/item?q=hp", "/dead-letters", "/audit"]


def test_a_person_binds_a_word_sees_it_reachable_and_rolls_it_back(
    page: Page, console: str
) -> None:
    page.goto(f"{console}/terms")
    page.get_by_role("link", name="Bind a new word").click()
    page.get_by_role("textbox", name="Word").fill("Zzyq Glow")
    page.get_by_label("Condition").fill('brand = "hp"')
    page.get_by_label("Reason").fill("summer sale")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="What it would do")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ of 256 free"))).to_be_visible()
    expect(page.locator(".hits .via").first).to_have_text("zzyq glow")
    page.get_by_role("button", name="Bind", exact=True).click()

    expect(page.get_by_role("heading", level=1)).to_have_text("zzyq glow")
    expect(page.get_by_text("Reachable:")).to_be_visible()
    expect(page.locator(".hits .via").first).to_have_text("zzyq glow")

    page.get_by_role("button", name="Roll back to before: bound").click()
    expect(page.get_by_text("Released: it leads to no items")).to_be_visible()
    expect(page.locator(".hits .via")).to_have_count(0)

    page.goto(f"{console}/audit")
    events = page.locator("tbody code").all_inner_texts()
    assert events[:2] == ["term.release.v1", "term.bind.v1"]


def test_a_selector_that_does_not_parse_is_reported_beside_the_form_which_keeps_its_values(
    page: Page, console: str
) -> None:
    page.goto(f"{console}/terms/new")
    page.get_by_role("textbox", name="Word").fill("glow")
    page.get_by_label("Condition").fill("brand ~ hp")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("alert")).to_contain_text("'~' at character 7")
    expect(page.get_by_label("Condition")).to_have_value("brand ~ hp")


def test_markup_in_a_word_is_text(page: Page, console: str) -> None:
    page.on("dialog", lambda _: pytest.fail("a script ran"))
    page.goto(f"{console}/item?q=<script>alert(1)</script>")
    expect(page.get_by_label("Search")).to_have_value("<script>alert(1)</script>")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_page_fits_its_window_and_labels_its_fields(
    page: Page, console: str, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    for path in PATHS:
        page.goto(console + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        unlabelled = page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
            ".filter((field) => !field.labels.length).map((field) => field.name)"
        )
        assert unlabelled == [], path
    # Violations of the content security policy would be among them.
    assert messages == []


def test_a_dead_letter_is_read_and_replayed(page: Page, console: str, indexed: Cluster) -> None:
    producer = KafkaProducer(bootstrap_servers=indexed.topology.kafka.bootstrap)
    producer.send(indexed.topology.terms_topic, key=b"odd", value=b'{"odd": 1}').get(timeout=10)
    producer.close()
    letter = page.locator("tbody th a")

    def is_shown() -> bool:
        page.goto(f"{console}/dead-letters")
        return letter.count() == 1

    until(is_shown)
    letter.click()
    expect(page.locator("pre")).to_contain_text('"odd": 1')
    page.get_by_text("Replay", exact=True).first.click()
    page.get_by_role("button", name="Replay anyway").click()
    expect(page.get_by_text("replayed to")).to_be_visible()


def test_a_slash_goes_to_the_search(page: Page, console: str) -> None:
    page.goto(f"{console}/terms")
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
