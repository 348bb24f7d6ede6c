"""The page in a real browser: by keyboard alone, on a phone, in the dark, for everybody."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from momok.serving.entity_search import make_reference
from tests.browser.visitor import Visitor
from tests.serving.served_run import LONG, QUOTES, SCRIPT, TEMPLATE, TURNED

PAGES = (
    "/",
    "/search?q=place",
    "/entity?label=q%3Afrance",
    "/why?head=q%3Afrance&relation=borders&tail=q%3Aspain",
    "/neighbourhood?label=q%3Afrance",
    "/ask?head=q%3Afrance&relation=borders",
    "/ask?head=q%3Afrance&tail=q%3Aspain",
    "/ask?head=q%3Afrance&relation=borders&tail=q%3Aspain",
    "/map",
    "/review",
    "/review?relation=borders",
    "/review?relation=*&order=random",
    "/review/table?relation=borders&least=0",
    "/history",
    "/retrain",
    "/api",
    "/login",
    "/entity?label=nobody",
)


def wait_for_card(visitor: Visitor) -> None:
    visitor.page.wait_for_selector("form.decide[data-live] button")


def decide(visitor: Visitor, key: str, said: str) -> None:
    """Press a key and wait until the decision is said to be saved and the next card is there."""
    before = visitor.page.input_value("input[name=request]")
    visitor.press(key)
    fresh = visitor.page.locator(f"input[name=request]:not([value='{before}'])")
    fresh.wait_for(state="attached")
    visitor.page.locator(".said", has_text=said).wait_for()


def test_from_search_to_export_by_keyboard_alone(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/")
    visitor.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("fran")
    page.wait_for_selector("#q-list li")
    assert page.get_attribute("#q", "aria-expanded") == "true"
    visitor.press("ArrowDown")
    assert page.get_attribute("#q", "aria-activedescendant") == "q-0"
    visitor.press("Enter")
    page.wait_for_url(re.compile("/entity"))
    assert page.inner_text("h1") == "France"
    visitor.tab_to("a.why")
    visitor.press("Enter")
    page.wait_for_url(re.compile("/why"))
    statement = page.inner_text("h1")
    assert page.locator(".donut svg").count() == 3  # modalities, and experts of each of the two
    visitor.tab_to("button.accept")
    visitor.press("Enter")
    page.wait_for_selector(".badge-accepted")
    assert page.inner_text("h1") == statement
    visitor.tab_to("nav a[href='/history']")
    visitor.press("Enter")
    page.wait_for_url(re.compile("/history"))
    visitor.tab_to(".export select[name=format]")
    page.keyboard.type("TSV")
    visitor.tab_to(".export button")
    with page.expect_download() as download:
        visitor.press("Enter")
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert any("q:france" in line.split("\t") for line in lines)
    assert lines[0].startswith("head\trelation\ttail\tstate\t")
    assert len({line.count("\t") for line in lines}) == 1


def test_the_queue_by_keys(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/review?relation=lies-in")
    wait_for_card(visitor)
    assert page.evaluate("document.activeElement.id") == "statement"
    first = page.inner_text("#statement")
    decide(visitor, "a", "Accepted")
    assert page.evaluate("document.activeElement.id") == "statement"
    assert page.inner_text("#statement") != first
    decide(visitor, "r", "Rejected")
    decide(visitor, "s", "Skipped")
    third = page.inner_text("#statement")
    decide(visitor, "u", "Undone")
    decide(visitor, "u", "Undone")
    decide(visitor, "u", "Undone")
    assert page.inner_text("#statement") == first
    assert third != first
    visitor.press("n")
    assert page.evaluate("document.activeElement.id") == "note"
    page.keyboard.type("arrus")  # letters of the keys: they write here
    visitor.press("Escape")
    assert page.evaluate("document.activeElement.id") == "statement"
    decide(visitor, "a", "Accepted")
    visitor.visit("/history")
    row = page.inner_text(".events tbody tr:first-child")
    assert "accept" in row
    assert "arrus" in row


def test_a_reason_is_one_key_and_a_wrong_tail_is_searched_for(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/review?relation=lies-in")
    wait_for_card(visitor)
    decide(visitor, "2", "Rejected")
    visitor.press("t")
    page.keyboard.type("springfield")
    page.wait_for_selector("#right-tails li")
    visitor.press("ArrowDown", "Enter")
    assert page.input_value("#right-tail") == "q:twin1"
    with page.expect_response("**/review/decide"):
        visitor.press("Enter")
    visitor.visit("/history")
    rows = page.inner_text(".events tbody")
    assert "No longer true." in rows
    assert "Wrong tail, it is q:twin1." in rows


def test_decisions_on_their_way_survive_leaving_the_page(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/review?relation=borders")
    wait_for_card(visitor)
    page.fill("#name", "Grace")
    page.click(".name button")
    wait_for_card(visitor)
    page.wait_for_load_state("networkidle")  # five cards are there
    # The first one gets no answer, the others wait for it.
    page.route("**/review/decide", lambda _: None)
    visitor.press("r", "r", "r")
    page.unroute_all()
    rows: list[str] = []
    for _ in range(40):
        visitor.visit("/history")
        rows = [row for row in page.locator(".events tr").all_inner_texts() if "Grace" in row]
        if len(rows) >= 3:
            break
    assert len(rows) == 3
    assert all("reject" in row for row in rows)
    visitor.complaints.clear()  # requests that were cut off on purpose


def test_an_entity_is_reviewed_in_its_rows(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/entity?label=q%3Agermany")
    page.locator("#new-facts .tick-accept").first.click()
    page.locator("#new-facts .badge-accepted").wait_for()
    assert "/entity" in page.url


def test_the_api_is_tried_by_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/api")
    form = page.locator("form.try[action='/api/v1/predict']")
    summary = page.locator("details", has=form).locator("summary")
    summary.focus()
    visitor.press("Enter")
    form.locator("button").focus()
    visitor.press("Enter")
    output = page.locator("details", has=form).locator("output")
    output.locator("pre", has_text='"predictions"').wait_for()
    assert re.match(r"POST /api/v1/predict: 200, \d+ ms", output.locator("p").inner_text())
    search = page.locator("form.try[action='/api/v1/search']")
    page.locator("details", has=search).locator("summary").click()
    search.locator("input[name=q]").fill("fran")
    search.locator("button").click()
    page.locator("details", has=search).locator("pre", has_text="France").wait_for()


def test_keys_can_be_switched_off(visitor: Visitor) -> None:
    visitor.visit("/review?relation=lies-in")
    wait_for_card(visitor)
    visitor.page.uncheck("#keys")
    shown = visitor.page.inner_text("#statement")
    visitor.page.evaluate("document.getElementById('statement').focus()")
    visitor.press("a")
    visitor.page.wait_for_timeout(300)
    assert visitor.page.inner_text("#statement") == shown
    visitor.page.reload()
    assert not visitor.page.is_checked("#keys")


def test_two_reviewers_see_different_facts(visitor: Visitor, phone: Visitor) -> None:
    for somebody in (visitor, phone):
        somebody.visit("/review?relation=borders")
        wait_for_card(somebody)
    shown = [somebody.page.inner_text("#statement") for somebody in (visitor, phone)]
    assert shown[0] != shown[1]
    phone.page.click("button.accept")
    phone.page.locator(".said", has_text="Accepted").wait_for()


def test_when_the_server_does_not_answer_nothing_is_lost(visitor: Visitor) -> None:
    visitor.visit("/review?relation=borders")
    wait_for_card(visitor)
    shown = visitor.page.inner_text("#statement")
    visitor.page.route("**/review/decide", lambda route: route.abort())
    visitor.press("r")
    visitor.page.locator(".said", has_text="Not saved").wait_for()
    assert visitor.page.inner_text("#statement") == shown
    visitor.page.unroute("**/review/decide")
    decide(visitor, "r", "Rejected")
    visitor.complaints.clear()  # the request that was cut off on purpose


@pytest.mark.parametrize("label", [SCRIPT, QUOTES, TURNED, LONG, TEMPLATE], ids=range(5))
def test_hostile_labels_do_nothing(visitor: Visitor, label: str) -> None:
    """No dialog, no refused script; the fixture looks at the complaints."""
    visitor.visit("/entity?label=" + quote(make_reference(label)))
    heading = visitor.page.inner_text("h1")
    assert heading[:12] == label[:12]
    assert visitor.overflow() <= 0
    visitor.page.fill("#q", label[:40])
    visitor.page.wait_for_selector("#q-list li")
    assert label[:12] in visitor.page.inner_text("#q-list li:first-child")
    assert visitor.page.locator("#q-list script, #q-list img[onerror]").count() == 0


def test_turned_labels_turn_nothing_around_them(visitor: Visitor) -> None:
    visitor.visit("/search?q=" + quote("safe"))
    after = visitor.page.evaluate("getComputedStyle(document.querySelector('bdi')).unicodeBidi")
    assert after == "isolate"


@pytest.mark.parametrize("path", PAGES)
def test_pages_fit_a_phone(phone: Visitor, path: str) -> None:
    phone.visit(path)
    assert phone.overflow() <= 0
    small = phone.page.evaluate(
        "[...document.querySelectorAll('.button:not(.small)')].filter(b => b.offsetParent)"
        ".filter(b => b.getBoundingClientRect().height < 36).length"
    )
    assert small == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_use_the_pages(browser: Any, server: Any, dark: bool) -> None:
    """axe-core finds nothing serious, in light and in dark; the pages differ as asked."""
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    axe = axe_module.Axe()
    with Visitor(browser, server.address, dark=dark) as visitor:
        for path in PAGES:
            visitor.visit(path)
            if path.startswith("/review?"):
                wait_for_card(visitor)
            if path == "/review":  # until all is ranked, it loads itself again
                visitor.page.wait_for_selector("meta[http-equiv=refresh]", state="detached")
            ground = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
            red = int(re.findall(r"\d+", ground)[0])
            assert (red < 60) == dark
            found = axe.run(visitor.page).response["violations"]
            bad = [
                (path, v["id"], v["impact"], v["nodes"][0]["html"][:200])
                for v in found
                if v["impact"] in ("serious", "critical")
            ]
            assert bad == []
        assert visitor.complaints == []


def test_many_facts_are_decided_by_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/review/table?relation=borders&least=0")
    page.wait_for_selector("#batch")
    facts = page.eval_on_selector_all("tbody input", "all => all.map((box) => box.value)")
    for key in ("x", "j", "x", "k", "k", "k"):
        visitor.press(key)
    assert page.evaluate("document.activeElement.value") == facts[0]
    ticked = page.eval_on_selector_all("tbody input:checked", "all => all.map((x) => x.value)")
    assert ticked == [facts[0], facts[2]]
    assert page.inner_text("#ticked") == "2 ticked"
    visitor.press("r")
    page.locator(".said", has_text="2 facts rejected and saved").wait_for()
    shown = page.eval_on_selector_all("tbody input", "all => all.map((box) => box.value)")
    assert not {facts[0], facts[2]} & {*shown}
    visitor.press("u")
    page.locator(".said", has_text="Undone").wait_for()
    visitor.press("*")
    assert page.locator("tbody input:not(:checked)").count() == 0
    visitor.press("*")
    assert page.locator("tbody input:checked").count() == 0
