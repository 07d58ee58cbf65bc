"""explain --html and --plot: their numbers against explain --json and fit, the page itself in Chromium."""

import contextlib
import functools
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from commands import Run, files_in, write

import nn_backend as nn
from nn_backend import __main__ as door
from nn_backend import equations, lesson
from nn_backend.commands import explain
from nn_backend.lesson import read_source
from nn_backend.worked_example import EQUATIONS, FORWARD

SOURCE = Path(equations.__file__).read_text(encoding="utf-8").splitlines()
OPERANDS = {  # of the article's equations
    **{"z1": "w1 X b1", "f1": "z1", "z2": "w2 f1 b2", "yhat": "z2", "cost": "z2 y"},
    **{"dz2": "yhat y", "dw2": "dz2 f1", "db2": "dz2", "w2": "w2 dw2", "b2": "b2 db2"},
    **{"dz1": "w2 dz2 f1", "dw1": "dz1 X", "db1": "dz1", "w1": "w1 dw1", "b1": "b1 db1"},
}
UPDATES = {"w2", "b2", "w1", "b1"}
# 12 inputs and 11 units, so that some are left out; names that would be markup
OWN = [
    ",".join(["</script>", "<b>bold", *(f"c{k}" for k in range(10)), "t"]),
    *(
        ",".join([*(f"{np.cos(3 * row + 7 * k):.2f}" for k in range(12)), ["<i>a", "b", "c"][row % 3]])
        for row in range(40)
    ),
]
PAGES = {"article": "", "own": "--data own.csv --target t --row 6 --hidden 11 --factor 0.5 --seed 4"}


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Run]:
    return lambda typed: run_main(door.main, *typed.split())


def first_of(steps: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(step for step in steps if step["name"] == name)


@pytest.mark.parametrize("output", equations.OUTPUTS)
@pytest.mark.parametrize("name", [*FORWARD, *EQUATIONS])
def test_the_lines_of_a_quantity_are_those_of_the_file(name, output):
    """An equation's is the one that bears its number."""
    function, kind = {**FORWARD, **EQUATIONS}[name][0].partition(".")[2], equations.OUTPUTS[output]
    (own, *called), names = read_source(getattr(equations, function), name, kind)
    if name in EQUATIONS:
        assert f"# ({[*EQUATIONS].index(name) + 1})" in own["code"]
    else:
        assert own["code"].startswith(("return", f"{name} = "))
    for code in (own, *called):
        lines = code["code"].splitlines()
        there = SOURCE[code["line"] - 1 : code["line"] - 1 + len(lines)]
        assert [line.strip() for line in there] == [line.strip() for line in lines]
    called_by = {"f1": ["sigmoid"], "yhat": [kind.g.__name__], "cost": [kind.loss.__name__]}
    assert [code["function"] for code in called] == called_by.get(name, [])
    assert [name for name in names if name not in ("m", "learning_rate")] == OPERANDS[name].split()


# Making it


def first_ten(values: Any) -> Any:
    return [first_ten(part) for part in values[:10]] if isinstance(values, list) else values


class Page:
    """A page that the command wrote, what stands in it, and what ``explain --json`` says of a row."""

    def __init__(self, folder: Path, typed: str) -> None:
        self._folder, self._typed, self.path = folder, typed.split(), folder / "lesson.html"
        out, said = self._run("--html", "lesson.html")
        assert (out, said.splitlines()[-1]) == ("", "open lesson.html in a browser")
        text, start = self.path.read_text(encoding="utf-8"), '<script type="application/json" id="document">'
        _, found = text.split(start)  # one that no name in it ends
        self.document = json.loads(found.partition("</script>")[0])

    def _run(self, *options: str) -> tuple[str, str]:
        out, said = io.StringIO(), io.StringIO()
        with contextlib.chdir(self._folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            assert explain.main([*self._typed, *options]) == 0
        return out.getvalue(), said.getvalue()

    @functools.cache  # noqa: B019
    def explained(self, row: int) -> list[dict[str, Any]]:
        """Return the steps, of each array what the page has room for."""
        steps = json.loads(self._run("--row", str(row), "--json")[0])["steps"]
        return [{**step, "values": first_ten(step["values"]), "before": first_ten(step["before"])} for step in steps]


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "own.csv").write_text("\n".join(OWN), encoding="utf-8")
    return Page(folder, PAGES[request.param])


def test_its_steps_are_those_of_explain_and_what_is_left_out_is_said(page):
    asked, *others = page.document["rows"]
    for each in (asked, others[-1]):
        assert each["steps"] == page.explained(each["row"])
    assert len({each["row"] for each in page.document["rows"]}) == 8
    assert page.path.stat().st_size < 600_000
    own = ["inputs 11 to 12", "hidden units 11 to 11"]
    assert page.document["left_out"] == (own if page.document["sizes"]["n0"] > 10 else [])


@pytest.mark.parametrize(("k", "optimizer", "standardised"), [(0, "gd", False), (1, "gd", True), (2, "rprop", False)])
def test_its_runs_are_those_of_fit(page, k, optimizer, standardised):
    """Bit by bit, though the page goes on from place to place and trains a second network beside."""
    run, at = page.document["runs"][k], page.document["iterations"]
    own = page.path.with_name("own.csv")
    table = nn.load_table(own, target="t") if page.document["left_out"] else nn.marks.load_data("marks")
    trained, n1, seed, factor = (40, 11, 4, 2 / 12**0.5) if table.labels else (300, 4, 3, 0.01)
    X, y = table.X, table.y
    if standardised:
        X = nn.tables.standardization(X[:, :trained]).apply(X)
    start = nn.init_params(len(X), n1, len(y), seed=seed, factor=factor)
    settings = {"output": table.output, "optimizer": optimizer, "iterations": at[-1], "log_every": 1}
    result = nn.fit(X[:, :trained], y[:, :trained], start, **settings)
    assert (run["cost"], run["quality"]) == tuple(result.history[name][at].tolist() for name in ("cost", "accuracy"))
    rows = [each["row"] - 1 for each in page.document["rows"]]
    yhat = nn.predict_proba(result.params, X[:, rows], output=table.output)
    answers, right = (a.argmax(axis=0) if len(y) > 1 else a[0] >= 0.5 for a in (yhat, y[:, rows]))
    assert run["networks"][-1]["right"] == (answers == right).tolist()
    assert [each["trained"] for each in page.document["rows"]] == [row < trained for row in rows]
    for name, values in {**result.params._asdict(), "yhat": yhat.T}.items():
        np.testing.assert_allclose(run["networks"][-1][name], values[:10, :10], rtol=5.1e-5, err_msg=name)
    if not table.labels:  # the article's run is at the edge of stability, alone
        apart = np.abs(np.subtract(run["twin_cost"], run["cost"]))
        assert (apart[: len(at) // 5].max() < 1e-9, apart.max() > 0.05, run["parts"]) == (True, k == 0, k == 0)
        assert k == 0 or apart.max() < 1e-9


def test_no_page_is_made_where_ctrl_c_ends_the_training(folder, run_here, monkeypatch):
    monkeypatch.setattr(lesson, "fit", functools.partial(nn.fit, callback=Mock(side_effect=KeyboardInterrupt)))
    assert run_here("explain --html a.html") == (130, "", "error: interrupted\n")
    assert files_in(folder) == []


# The drawing alone


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_the_drawing_has_the_numbers_of_explain(folder, run_here, figures, iterations):
    assert run_here(f"explain --iterations {iterations} --plot a.svg") == (0, "", "")
    steps = json.loads(run_here(f"explain --iterations {iterations} --json").out)["steps"]
    panels, stops = figures[0].axes, {0: steps[:11], iterations: steps}  # until the first and the last forward pass
    for panel, (updates, until) in zip(panels, stops.items(), strict=True):
        known = {step["name"]: np.ravel(step["values"]) for step in until}
        assert panel.get_title() == f"after {updates} update{'s' * (updates != 1)}: cost {known['cost'][0]:.3g}"
        shown = {"X": "", "f1": "", "yhat": "", "w1": "", "w2": "", "b1": "b1 ", "b2": "b2 "}
        numbers = [f"{head}{round(value, 3) + 0.0:g}" for name, head in shown.items() for value in known[name]]
        told = ["hidden units f1", "inputs X", "output yhat", "x1", "x2", "x3", *numbers]
        assert sorted(text.get_text() for text in panel.texts) == sorted(told)
        dashed = [line.get_linestyle() == "--" for line in panel.lines if line.get_linestyle() != "None"]
        assert dashed == [weight < 0 for weight in (*known["w1"], *known["w2"])]


def test_a_small_network_is_drawn_beside_its_training(folder, run_here, figures):
    for hidden in (6, 7):
        assert run_here(f"train --iterations 1 --hidden {hidden} --plot a.svg").code == 0
    assert ["Network" in [panel.get_title() for panel in figure.axes] for figure in figures] == [True, False]


# In a browser

CONTROLS = {"row", "step", "step-on", "run", "row-again", "iteration", "iteration-on"}
STATE = """
const all = kind => [...document.querySelectorAll(kind)], texts = kind => all(kind).map(node => node.textContent);
return {
  numbers: all("#panel data").map(node => [Number(node.value), node.textContent]),
  tables: Object.fromEntries(all("#panel .tables > div:has(data)").map(node => [node.textContent.split(",")[0],
    [...node.querySelectorAll("data")].map(number => Number(number.value))])),
  texts: texts("#panel h3, #panel .formula, #panel pre"),
  reached: all("#runs data").map(node => Number(node.value)),
  said: texts("output"),
  lead: texts("#lead, #limits"),
  drawn: all("svg[role=img]").map(node => node.getAttribute("aria-label")),
  emphasised: all("#network text[data-name]").map(node => [node.dataset.name, node.textContent.split(" ").at(-1)]),
  lit: ["circle", "line", "rect"].map(kind => all(`#network ${kind}.lit, #network ${kind}.glow`).length),
}
"""
COLOURS = """
const clear = "rgba(0, 0, 0, 0)", style = node => getComputedStyle(node);
const ground = node => style(node).backgroundColor !== clear ? style(node).backgroundColor : ground(node.parentElement);
const has_words = node => [...node.childNodes].some(child => child.nodeType === Node.TEXT_NODE && child.data.trim());
const words = [...document.querySelectorAll("main *:not(noscript)")].filter(has_words);
return words.map(node => [node.tagName === "text" ? style(node).fill : style(node).color, ground(node)]);
"""
FOCUSED = """
const node = document.activeElement;
return node.id || node.name || (node === document.body || node.scrollWidth > node.clientWidth ? "table" : "nothing");
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if missing := [name for name, found in programs.items() if not found]:
        pytest.skip(f"no {' and no '.join(missing)}: install Debian's packages chromium and chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    for option in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs["chromedriver"]))
    yield driver
    driver.quit()


class Browser:
    """A browser whose pages are used by keyboard alone."""

    def __init__(self, driver: Any) -> None:
        self._driver, self.ask = driver, driver.execute_script

    def open(self, page: Page, width: int = 1280, theme: str = "light") -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self._driver.get(page.path.as_uri())

    def press(self, *names: str) -> None:
        from selenium.webdriver import ActionChains, Keys

        ActionChains(self._driver, duration=0).send_keys(*(getattr(Keys, name) for name in names)).perform()

    def go_to(self, control: str) -> None:
        for _ in range(30):
            if self.ask(FOCUSED) == control:
                return
            self.press("TAB")
        pytest.fail(f"no key leads to {control}")


@pytest.fixture
def browser(chromium: Any) -> Iterator[Browser]:
    """Give the browser, and see in the end that nothing was complained of and nothing loaded."""
    yield Browser(chromium)
    assert chromium.execute_script("return performance.getEntriesByType('resource').map(each => each.name)") == []
    assert chromium.get_log("browser") == []


def lit_by(name: str, n0: int, n1: int, n2: int) -> list[int]:
    """Return how many circles, lines and labels are lit up for a quantity; without room for labels, their circles."""
    base, dense = name.removeprefix("d"), max(n0, n1, n2) > 6
    units = {"z1": n1, "f1": n1, "z2": n2, "yhat": n2}.get(base, 0)
    labels = {"b1": n1, "b2": n2}.get(base, 0)
    lines = {"w1": n0 * n1, "w2": n1 * n2}.get(base, 0)
    return [units + labels * dense, lines, labels * (not dense) + (base == "cost")]


def number(text: str) -> float:
    """Return what the page writes as −0.12, <0.001 or 1.2·10⁻⁸."""
    return float(text.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789", "<>")).replace("·10", "e"))


def assert_numbers(seen: dict[str, Any], stop: list[dict[str, Any]], steps: list[dict[str, Any]]) -> None:
    """See to it that a place of the slider shows the numbers of its steps, and beside the last the first ones."""
    shown = [(value, number(text)) for value, text in seen["numbers"]]
    assert [text for _, text in shown] == pytest.approx([value for value, _ in shown], rel=5.1e-5, abs=5.1e-7)
    if len(stop) > 1:
        again = stop[-1] is steps[-1]
        pairs = [[first_of(steps, step["name"]), step] if again else [step] for step in stop]
        assert [value for value, _ in shown] == [x for pair in pairs for step in pair for x in np.ravel(step["values"])]


def assert_step(seen: dict[str, Any], step: dict[str, Any], steps: list[dict[str, Any]], sizes: list[int]) -> None:
    """See to it that tables and drawing show what a step of the only update reads and gives."""
    names, is_update = OPERANDS[step["name"]].split(), step["name"] in UPDATES
    reads = {"old " * (step["number"] is not None and name in UPDATES) + name: name for name in names}
    read = {said: np.ravel(first_of(steps, name)["values"]).tolist() for said, name in reads.items()}
    given = {"new " * is_update + step["name"]: np.ravel(step["values"]).tolist()}
    tables = {
        f"{verb} {said}": values for verb, each in (("Reads", read), ("Gives", given)) for said, values in each.items()
    }
    assert seen["tables"] == tables
    assert seen["lit"] == lit_by(step["name"], *sizes)
    # Bold in the drawing are the same numbers; all that an update reads has the same place as what it gives.
    expected, dense = given if is_update else read | given, max(sizes) > 6
    shown = {
        said: [number(text) for other, text in seen["emphasised"] if other == said] for said, _ in seen["emphasised"]
    }
    assert shown.keys() <= expected.keys() if dense else shown.keys() == expected.keys()
    for said, numbers in shown.items():
        assert sorted(numbers) == pytest.approx(sorted(expected[said]), abs=5.1e-3 if dense else 5.1e-4), said


def test_each_step_shows_the_numbers_of_explain(browser, page):
    """Of the first row forwards, and of the last one backwards."""
    browser.open(page)
    sizes = [min(page.document["sizes"][name], 10) for name in ("n0", "n1", "n2")]
    for row, first, onward in ((0, "HOME", "ARROW_RIGHT"), (-1, "END", "ARROW_LEFT")):
        steps = page.explained(page.document["rows"][row]["row"])
        stops = [steps[:6], *([step] for step in steps[6:-5]), steps[-5:]]  # the start, each, and the last forward pass
        for control in ("row", "step"):
            browser.go_to(control)
            browser.press(first)
        for position, stop in [*enumerate(stops)][:: row or 1]:
            seen = browser.ask(STATE)
            assert_numbers(seen, stop, steps)
            assert seen["said"][0].startswith(f"Step {position} of {len(stops) - 1}: ")
            if len(stop) == 1:
                (step,) = stop
                title, formula, *code = seen["texts"]
                label = f"({step['number']}) " if step["number"] else ""
                assert title.startswith(f"{label}{step['name']}: ")
                assert formula == step["formula"]
                assert code == [part["code"] for part in page.document["notes"][position + 5]["code"]]
                assert_step(seen, step, steps, sizes)
            browser.press(onward)


def test_a_newcomer_reads_the_answer_at_once_of_a_row_that_is_chosen_at_either_place(browser, page):
    browser.open(page)
    lead, limits = browser.ask(STATE)["lead"]
    asked, *_, last = page.document["rows"]
    answers = [np.ravel(step["values"]) for step in page.explained(asked["row"]) if step["name"] == "yhat"]
    assert all(f"{value:.3f}" in lead for answer in answers for value in answer)
    assert all(name in lead for name in (*page.document["features"][:3], asked["truth"]))
    assert all(name in limits for name in page.document["left_out"])
    assert ("0.521" in lead) == (not page.document["left_out"])
    browser.go_to("row-again")
    browser.press("END")
    assert f"for row {last['row']}, " in browser.ask(STATE)["lead"][0]
    said = browser.ask("return document.getElementById('trained-says').textContent")
    whether = "one of those it was trained on" if last["trained"] else "which it was not trained on"
    right = page.document["runs"][0]["networks"][0]["right"][-1]
    assert said.endswith(f"row {last['row']}, {whether}. Its answer is {'right' if right else 'wrong'}.")


def test_each_place_of_the_iterations_shows_the_runs(browser, page):
    browser.open(page)
    runs, at = page.document["runs"], page.document["iterations"]
    browser.go_to("run")
    for chosen, run in enumerate(runs):
        if chosen:
            browser.press("ARROW_DOWN")
        browser.go_to("iteration")
        for keys, place in ((["HOME"], 0), (["ARROW_RIGHT"] * 3, 3), (["END", "ARROW_LEFT"], len(at) - 2)):
            browser.press(*keys)
            seen = browser.ask(STATE)
            assert seen["said"][1] == f"After {at[place]} update{'s' * (at[place] != 1)}"
            assert seen["reached"] == [each[name][place] for each in runs for name in ("cost", "quality")]
            yhat = seen["drawn"][-1].partition("yhat: ")[2].partition(";")[0].split(", ")
            assert [*map(number, yhat)] == pytest.approx(run["networks"][place]["yhat"][0], rel=0.051, abs=5.1e-4)
        browser.press("HOME")
        browser.go_to("run")


def test_keys_reach_all_controls_and_a_button_keeps_the_focus_at_the_end(browser, page):
    """And beside these they reach only tables that scroll."""
    browser.open(page)
    for button in ("step-back", "step-on"):
        browser.go_to(button)
        browser.press(*["ENTER"] * 20)
        assert browser.ask(FOCUSED) == button
        assert browser.ask("return document.activeElement.getAttribute('aria-disabled')") == "true"
    browser.go_to("step-back")
    browser.press(*["ENTER"] * 7)  # (4), whose tables have a column for each hidden unit
    reached = set()
    for _ in range(16):
        browser.press("TAB")
        reached.add(browser.ask(FOCUSED))
    assert reached >= CONTROLS
    assert "nothing" not in reached


@pytest.mark.parametrize("learning_rate", [3, 30])
def test_a_run_that_diverges_ends_early(browser, tmp_path, learning_rate):
    """Before, its numbers are finite, however large."""
    write(str(tmp_path / "a.csv"), ["x,y", "1,0.5", "2,7.5", "3,1.25", "4,-2.5"])
    page = Page(tmp_path, f"--data a.csv --row 1 --learning-rate {learning_rate}")
    runs, at = page.document["runs"], page.document["iterations"]
    gd, _, rprop = (len(run["cost"]) for run in runs)
    assert 0 < gd == len(runs[0]["networks"]) < rprop == len(at)
    browser.open(page)
    browser.go_to("iteration")
    browser.press("END")
    said = f"After {at[-1]} updates; this run diverged: after {at[gd - 1]} its numbers grew beyond all bounds"
    assert browser.ask(STATE)["said"][1] == said


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_and_can_be_read(browser, page, width, theme):
    """Nothing is wider than the window, and words have the contrast that WCAG asks for."""
    browser.open(page, width, theme)
    browser.go_to("step")
    for keys in ([], ["ARROW_RIGHT"] * 7, ["END"]):
        browser.press(*keys)
        assert browser.ask("return document.documentElement.scrollWidth") == width
        pairs = {tuple(pair) for pair in browser.ask(COLOURS)}
        for pair in pairs:
            dark, bright = sorted(map(luminance, pair))
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, pair
    assert len(pairs) > 2
