from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.servers

Open = Callable[..., Any]


def test_the_number_of_calls_moves_marks_figures_and_download(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.upload(rows)
    desk.wait_ranked()
    desk.plan(7)
    expect(desk.page.locator("#slider")).to_have_value("7")
    assert desk.column("Call").count("yes") == 7
    saved = desk.saved_rows()
    assert [row["call"] for row in saved] == ["yes"] * 7 + ["no"] * 73
    assert [row["rank"] for row in saved] == [str(rank) for rank in range(1, 81)]
    chances = [float(row["probability"]) for row in saved]
    expected, every = sum(chances[:7]), sum(chances)
    tiles = desk.page.locator("#outlook dd").all_inner_texts()
    assert tiles[:3] == [f"{expected:.1f}", f"{expected * 10 - 7:.1f}", f"{expected / every * 100:.0f} %"]
    summary = desk.page.locator("#said")
    expect(summary).to_have_attribute("role", "status")
    expect(summary).to_contain_text(f"7 calls: {expected:.1f} expected subscriptions")
    desk.page.focus("#slider")
    desk.page.keyboard.press("ArrowRight")
    expect(desk.page.locator("#calls")).to_have_value("8")


def test_prices_move_profit_the_best_number_and_the_download(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.upload(rows)
    desk.wait_ranked()
    chances = sorted({float(row["probability"]) for row in desk.saved_rows()})
    cost = round(chances[len(chances) // 2] * 2, 6)
    desk.page.fill("#value", "2")
    desk.page.fill("#cost", str(cost))
    desk.page.keyboard.press("Tab")
    desk.page.click("#best")
    saved = desk.saved_rows()
    paying = sum(float(row["probability"]) * 2 > cost for row in saved)
    assert 0 < paying < 80
    expect(desk.page.locator("#calls")).to_have_value(str(paying))
    for place, row in enumerate(saved):
        assert float(row["expected_value"]) == pytest.approx(float(row["probability"]) * 2 - cost)
        assert row["call"] == ("yes" if place < paying else "no")
    assert desk.column("Expected value")[0] == f"{float(saved[0]['expected_value']):.2f}"


def test_sliders_move_prices_at_once_and_nothing_is_scored_or_logged_again(
    open_page: Open, site: str, rows: str
) -> None:
    desk = open_page(site)
    desk.upload(rows)
    desk.wait_ranked()
    expect(desk.page.locator("#value-slider")).to_have_value("10")
    expect(desk.page.locator("#cost-slider")).to_have_value("1")
    chances = [float(row["probability"]) for row in desk.saved_rows()]
    before = _scored(site)
    assert before >= 80
    sent: list[str] = []
    desk.page.on("request", lambda request: sent.append(request.url))
    for value, cost in ((40, 1.5), (2.5, 1.5), (10, 3)):
        desk.page.locator("#value-slider").fill(str(value))
        desk.page.locator("#cost-slider").fill(str(cost))
        best = sum(chance * value > cost for chance in chances)
        expect(desk.page.locator("#value")).to_have_value(str(value))
        # the plan was the best number, and stays so
        expect(desk.page.locator("#calls")).to_have_value(str(best))
        profit, everyone = (sum(part) * value - len(part) * cost for part in (chances[:best], chances))
        random = best * sum(chances) / 80 * value - best * cost
        worth = desk.page.locator("#worth").inner_text()
        if best:
            assert f"would earn {_amount(profit)}, calling everyone {_amount(everyone)}, " in worth
            assert f"as many at random {_amount(random)}, nobody 0." in worth
        else:
            assert worth.startswith(
                f"Without calls nothing is earned; calling everyone would earn {_amount(everyone)}."
            )
    desk.page.locator("#value-slider").focus()
    desk.page.keyboard.press("ArrowRight")
    expect(desk.page.locator("#value")).to_have_value("10.5")
    assert sent == []
    assert _scored(site) == before


def test_where_calling_everyone_or_nobody_pays_more_the_page_says_so(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.upload(rows)
    desk.wait_ranked()
    worth, number = desk.page.locator("#worth"), desk.page.locator("#calls")
    desk.page.fill("#value", "1000")
    desk.page.fill("#cost", "0.01")
    expect(number).to_have_value("80")
    expect(worth).to_contain_text("every call pays: calling everyone earns most")
    desk.plan(3)
    desk.page.fill("#value", "40")
    desk.page.fill("#cost", "1.2")
    expect(worth).to_contain_text("The best 3 calls")
    expect(worth).to_contain_text("Calling everyone pays more than this; the best")
    desk.page.fill("#value", "1")
    desk.page.fill("#cost", "1")
    expect(worth).to_contain_text("no call pays: calling nobody earns most")
    desk.page.click("#best")
    expect(number).to_have_value("0")
    desk.page.fill("#cost", "")
    expect(worth).to_contain_text("no call pays")  # no price: the last one holds


def _amount(value: float) -> str:
    return f"{value:,.{1 if abs(value) < 1000 else 0}f}"


def _scored(site: str) -> float:
    lines = httpx.get(f"{site}/metrics", timeout=60).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("deposit_predictions_total"))


def test_a_click_on_the_curve_plans_so_many_calls(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.upload(rows)
    desk.wait_ranked()
    box = desk.page.locator("#chart .u-over").bounding_box()
    desk.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(desk.page.locator("#calls")).to_have_value("40")


def test_without_a_change_the_download_is_what_the_service_sent(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    with desk.page.expect_response("**/rank") as answered:
        desk.upload(rows)
    desk.wait_ranked()
    assert desk.saved("#download") == answered.value.body()


def test_own_cells_come_back_as_they_were(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    odd = '"Müller; ""Jo""\nBerlin"'
    lines = [f"{line};{odd if place else 'Größe'}" for place, line in enumerate(rows.splitlines()[:6])]
    desk.upload("\r\n".join([*lines, lines[1].replace("telephone", "pigeon")]))
    desk.wait_ranked()
    expect(desk.page.locator("#extra")).to_have_text("Not used for the score: Größe.")
    expect(desk.page.locator("#told")).to_contain_text("5 customers ranked, 1 row rejected")
    assert desk.column("Größe")[0].split() == ["Müller;", '"Jo"', "Berlin"]
    for calls in (2, 3):
        desk.plan(calls)
        saved = desk.saved("#download")
        assert saved.startswith(b"\xef\xbb\xbf"), "a spreadsheet reads letters beyond ASCII only after this mark"
        assert saved.decode().count(odd) == 6
        listed = desk.saved_rows()
        assert [row["call"] for row in listed] == ["yes"] * calls + ["no"] * (5 - calls) + [""]
        assert {row["Größe"] for row in listed} == {'Müller; "Jo"\nBerlin'}
        assert listed[-1]["problem"].startswith("line 12: contact")
