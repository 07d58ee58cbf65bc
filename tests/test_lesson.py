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

import numpy as np
import pytest
from commands import Run, files_in

import nn_backend as nn
from nn_backend import __main__ as door
from nn_backend import equations, lesson, plots
from nn_backend.commands import explain
from nn_backend.lesson import read_source
from nn_backend.worked_example import EQUATIONS, FORWARD

SOURCE = Path(equations.__file__).read_text(encoding="utf-8").splitlines()
PAGES = {  # arguments, and the rows of a table where there is one
    "article": ("", []),
    "own": (
        "--data own.csv --target t --row 6 --hidden 11 --factor 0.5 --seed 4",
        # 12 inputs and 11 units, so that some are left out; names that would be markup
        [",".join(["</script>", "<b>bold", *(f"c{k}" for k in range(10)), "t"])]
        + [
            ",".join([*(f"{np.cos(3 * k + 7 * j):.2f}" for j in range(12)), ["<i>a", "b", "c"][k % 3]])
            for k in range(40)
        ],
    ),
}


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Run]:
    return lambda typed: run_main(door.main, *typed.split())


def flat(values: Any) -> list[float]:
    return np.ravel(values).tolist()


# What the page is made of


def code_of(name: str, function: str, output: str = "sigmoid") -> list[dict[str, Any]]:
    return read_source(getattr(equations, function), name, equations.OUTPUTS[output])[0]


@pytest.mark.parametrize(("number", "name"), [*enumerate(EQUATIONS, start=1)])
def test_the_line_of_an_equation_is_the_one_that_bears_its_number(number, name):
    (code,) = code_of(name, EQUATIONS[name][0].partition(".")[2])
    assert f"# ({number})" in code["code"]
    assert code["code"] == SOURCE[code["line"] - 1].strip()


@pytest.mark.parametrize("output", equations.OUTPUTS)
@pytest.mark.parametrize("name", FORWARD)
def test_the_lines_of_the_forward_pass_are_those_of_the_file(name, output):
    own, *called = code_of(name, FORWARD[name][0].partition(".")[2], output)
    assert own["code"].startswith(("return", f"{name} = "))
    for code in (own, *called):
        lines = code["code"].splitlines()
        there = SOURCE[code["line"] - 1 : code["line"] - 1 + len(lines)]
        assert [line.strip() for line in there] == [line.strip() for line in lines]
    kind = equations.OUTPUTS[output]
    called_by = {"f1": ["sigmoid"], "yhat": [kind.g.__name__], "cost": [kind.loss.__name__]}
    assert [code["function"] for code in called] == called_by.get(name, [])


@pytest.mark.parametrize(
    ("name", "function", "names"),
    [("z1", "forward", "w1 X b1"), ("dz1", "backward", "w2 dz2 f1"), ("w2", "update", "w2 learning_rate dw2")],
)
def test_names_that_a_line_reads(name, function, names):
    assert read_source(getattr(equations, function), name, equations.SIGMOID)[1] == names.split()


# Making it


def document_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json" id="document">(.*?)</script>', text, re.DOTALL)
    return json.loads(found, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def first_ten(values: Any) -> Any:
    return [first_ten(part) for part in values[:10]] if isinstance(values, list) else values


class Page:
    """A page that the command wrote, what stands in it, and what ``explain --json`` says of a row."""

    def __init__(self, folder: Path, typed: str) -> None:
        self._folder, self._typed, self.path = folder, typed.split(), folder / "lesson.html"
        out, said = self._run("--html", "lesson.html")
        assert (out, said.splitlines()[-1]) == ("", "open lesson.html in a browser")
        self.document = document_of(self.path)

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

    def table(self) -> nn.tables.Table:
        return nn.load_table(self._folder / "own.csv", target="t") if self._typed else nn.marks.load_data("marks")


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Page:
    typed, rows = PAGES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "own.csv").write_text("\n".join(rows), encoding="utf-8")
    return Page(folder, typed)


def test_its_steps_are_those_of_explain(page):
    asked, *others = page.document["rows"]
    for each in (asked, others[-1]):
        assert each["steps"] == page.explained(each["row"])
    assert len({each["row"] for each in page.document["rows"]}) == 8
    assert page.path.stat().st_size < 600_000


def test_what_is_left_out_is_said(page):
    own = ["inputs 11 to 12", "hidden units 11 to 11"]
    assert page.document["left_out"] == (own if page.document["sizes"]["n0"] > 10 else [])


@pytest.mark.parametrize(("k", "optimizer", "standardised"), [(0, "gd", False), (1, "gd", True), (2, "rprop", False)])
def test_its_runs_are_those_of_fit(page, k, optimizer, standardised):
    """Bit by bit, though the page goes on from place to place and trains a second network beside."""
    table, run, at = page.table(), page.document["runs"][k], page.document["iterations"]
    trained, n1, seed, factor = (40, 11, 4, 2 / 12**0.5) if table.labels else (300, 4, 3, 0.01)
    X, y = table.X, table.y
    if standardised:
        X = nn.tables.standardization(X[:, :trained]).apply(X)
    start = nn.init_params(len(X), n1, len(y), seed=seed, factor=factor)
    settings = {"output": table.output, "optimizer": optimizer, "iterations": at[-1], "log_every": 1}
    result = nn.fit(X[:, :trained], y[:, :trained], start, **settings)
    for name, column in (("cost", "cost"), ("quality", "accuracy")):
        assert run[name] == result.history[column][at].tolist()
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


def test_it_shows_one_update(folder, run_here):
    said = "error: --iterations is 2; expected 1, as --html shows one update\n"
    assert run_here("explain --iterations 2 --html a.html") == (2, "", said)
    assert files_in(folder) == []


def test_ctrl_c_while_it_trains(folder, run_here, monkeypatch):
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lesson, "fit", functools.partial(nn.fit, callback=interrupt))
    assert run_here("explain --html a.html") == (130, "", "error: interrupted\n")
    assert files_in(folder) == []


# The drawing alone


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_the_drawing_has_the_numbers_of_explain(folder, run_here, monkeypatch, iterations):
    figures: list[Any] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: figures.append(figure))
    typed = f"explain --iterations {iterations}"
    assert run_here(f"{typed} --plot a.svg") == (0, "", "")
    steps = json.loads(run_here(f"{typed} --json").out)["steps"]
    assert len(figures[0].axes) == 1 + (iterations > 0)
    for panel, updates in zip(figures[0].axes, (0, iterations), strict=False):
        last = {step["name"]: step for step in steps if step["updates"] < updates or step["number"] is None}
        now = {step["name"]: step for step in steps if step["updates"] == updates and step["number"] is None}
        assert panel.get_title() == f"after {updates} update{'s' * (updates != 1)}: cost {now['cost']['values']:.3g}"
        told = [text.get_text() for text in panel.texts]
        shown = {"X": "", "f1": "", "yhat": "", "w1": "", "w2": "", "b1": "b1 ", "b2": "b2 "}
        for name, head in shown.items():
            for value in flat({**last, **now}[name]["values"] if updates else first_of(steps, name)["values"]):
                told.remove(f"{head}{round(value, 3) + 0.0:g}")
        assert sorted(told) == ["hidden units f1", "inputs X", "output yhat", "x1", "x2", "x3"]
        weights = flat(last["w1"]["values"]) + flat(last["w2"]["values"])
        dashed = [line.get_linestyle() == "--" for line in panel.lines if line.get_linestyle() != "None"]
        assert dashed == [weight < 0 for weight in weights]


def first_of(steps: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(step for step in steps if step["name"] == name)


def test_a_small_network_is_drawn_beside_its_training(folder, run_here, monkeypatch):
    figures: list[Any] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: figures.append(figure))
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


@pytest.fixture
def show(chromium: Any) -> Iterator[Callable[..., None]]:
    """Open a page in a window of some width and theme; in the end, nothing was complained of and nothing loaded."""

    def open_page(page: Page, width: int = 1280, theme: str = "light") -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chromium.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        )
        chromium.get(page.path.as_uri())

    yield open_page
    assert chromium.execute_script("return performance.getEntriesByType('resource').map(each => each.name)") == []
    assert chromium.get_log("browser") == []


class Keyboard:
    """The only way to use the page here."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def press(self, *names: str) -> None:
        from selenium.webdriver import ActionChains, Keys

        ActionChains(self._driver, duration=0).send_keys(*(getattr(Keys, name) for name in names)).perform()

    def focused(self) -> str:
        return self._driver.execute_script("return document.activeElement.id || document.activeElement.name")

    def go_to(self, control: str) -> None:
        for _ in range(30):
            if self.focused() == control:
                return
            self.press("TAB")
        pytest.fail(f"no key leads to {control}")

    def read(self) -> dict[str, Any]:
        return self._driver.execute_script(STATE)


@pytest.fixture
def keyboard(chromium: Any) -> Keyboard:
    return Keyboard(chromium)


def stops_of(steps: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return what stands together on the page: the start, each step, and the last forward pass."""
    return [steps[:6], *([step] for step in steps[6:-5]), steps[-5:]]


def lit_by(name: str, n0: int, n1: int, n2: int) -> list[int]:
    """Return how many circles, lines and labels are lit up for a quantity; without room for labels, their circles."""
    base = name.removeprefix("d")
    units = {"z1": n1, "f1": n1, "z2": n2, "yhat": n2}.get(base, 0)
    labels = {"b1": n1, "b2": n2}.get(base, 0)
    lines = {"w1": n0 * n1, "w2": n1 * n2}.get(base, 0)
    dense = max(n0, n1, n2) > 6
    return [units + labels * dense, lines, labels * (not dense) + (base == "cost")]


OPERANDS = {  # of the article's equations
    **{"z1": "w1 X b1", "f1": "z1", "z2": "w2 f1 b2", "yhat": "z2", "cost": "z2 y"},
    **{"dz2": "yhat y", "dw2": "dz2 f1", "db2": "dz2", "w2": "w2 dw2", "b2": "b2 db2"},
    **{"dz1": "w2 dz2 f1", "dw1": "dz1 X", "db1": "dz1", "w1": "w1 dw1", "b1": "b1 db1"},
}
UPDATES = {"w2", "b2", "w1", "b1"}


def number(text: str) -> float:
    """Return what the page writes as −0.12, <0.001 or 1.2·10⁻⁸."""
    return float(text.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789", "<>")).replace("·10", "e"))


def operands(step: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a step of the only update reads: each quantity as it was first, and what it is called there."""
    names = OPERANDS[step["name"]].split()
    return {"old " * (step["number"] is not None and name in UPDATES) + name: first_of(steps, name) for name in names}


def assert_numbers(seen: dict[str, Any], stop: list[dict[str, Any]], steps: list[dict[str, Any]]) -> None:
    shown = [(value, number(text)) for value, text in seen["numbers"]]
    assert [text for _, text in shown] == pytest.approx([value for value, _ in shown], rel=5.1e-5, abs=5.1e-7)
    if len(stop) == 1:
        (step,) = stop
        expected = {f"Reads {said}": flat(read["values"]) for said, read in operands(step, steps).items()}
        assert seen["tables"] == expected | {f"Gives {given(step)}": flat(step["values"])}
    else:
        again = stop[-1] is steps[-1]
        pairs = [[first_of(steps, step["name"]), step] if again else [step] for step in stop]
        assert [value for value, _ in shown] == [x for pair in pairs for step in pair for x in flat(step["values"])]


def given(step: dict[str, Any]) -> str:
    return "new " * (step["name"] in UPDATES) + step["name"]


def assert_emphasised(seen: list[list[str]], step: dict[str, Any], steps: list[dict[str, Any]], *, dense: bool) -> None:
    """The drawing's bold numbers are those that a step reads and gives; all that an update reads has the same place."""
    read = {} if step["name"] in UPDATES else operands(step, steps)
    expected = {said: flat(each["values"]) for said, each in {**read, given(step): step}.items()}
    shown = {said: [number(text) for other, text in seen if other == said] for said, _ in seen}
    assert shown.keys() <= expected.keys() if dense else shown.keys() == expected.keys()
    for said, numbers in shown.items():
        assert sorted(numbers) == pytest.approx(sorted(expected[said]), abs=5.1e-3 if dense else 5.1e-4), said


def test_each_step_shows_the_numbers_of_explain(show, page, keyboard):
    show(page)
    asked, other = (page.explained(each["row"]) for each in (page.document["rows"][0], page.document["rows"][-1]))
    sizes = [min(page.document["sizes"][name], 10) for name in ("n0", "n1", "n2")]
    keyboard.go_to("step")
    for position, stop in enumerate(stops := stops_of(asked)):
        seen = keyboard.read()
        assert_numbers(seen, stop, asked)
        assert seen["said"][0].startswith(f"Step {position} of {len(stops) - 1}: ")
        if len(stop) == 1:
            (step,) = stop
            title, formula, *code = seen["texts"]
            assert title.startswith(f"({step['number']}) {step['name']}: " if step["number"] else f"{step['name']}: ")
            assert formula == step["formula"]
            assert code == [part["code"] for part in page.document["notes"][position + 5]["code"]]
            assert seen["lit"] == lit_by(step["name"], *sizes)
            assert_emphasised(seen["emphasised"], step, asked, dense=max(sizes) > 6)
        keyboard.press("ARROW_RIGHT")
    keyboard.press("HOME")
    show(page)
    keyboard.go_to("row")
    keyboard.press("END")
    keyboard.go_to("step")
    for position in (0, -1, 8):
        keyboard.press("END" if position else "HOME", *["ARROW_LEFT"] * (8 if position > 0 else 0))
        assert_numbers(keyboard.read(), stops_of(other)[position], other)


def test_a_newcomer_reads_the_answer_at_once(show, page, keyboard):
    show(page)
    lead, limits = keyboard.read()["lead"]
    before, after = (
        np.ravel(step["values"]) for step in page.explained(page.document["rows"][0]["row"]) if step["name"] == "yhat"
    )
    assert all(f"{value:.3f}" in lead for value in (*before, *after))
    assert all(name in lead for name in (*page.document["features"][:3], page.document["rows"][0]["truth"]))
    assert all(name in limits for name in page.document["left_out"])
    assert ("0.521" in lead) == (not page.document["left_out"])


def test_each_place_of_the_iterations_shows_the_runs(show, page, keyboard):
    show(page)
    runs, at = page.document["runs"], page.document["iterations"]
    keyboard.go_to("run")
    for chosen, run in enumerate(runs):
        if chosen:
            keyboard.press("ARROW_DOWN")
        keyboard.go_to("iteration")
        for keys, place in ((["HOME"], 0), (["ARROW_RIGHT"] * 3, 3), (["END", "ARROW_LEFT"], len(at) - 2)):
            keyboard.press(*keys)
            seen = keyboard.read()
            assert seen["said"][1] == f"After {at[place]} update{'s' * (at[place] != 1)}"
            assert seen["reached"] == [each[name][place] for each in runs for name in ("cost", "quality")]
            yhat = seen["drawn"][-1].partition("yhat: ")[2].partition(";")[0].split(", ")
            assert [*map(number, yhat)] == pytest.approx(run["networks"][place]["yhat"][0], rel=0.051, abs=5.1e-4)
        keyboard.press("HOME")
        while keyboard.focused() != "run":
            keyboard.press("TAB")


FOCUSED = """
const node = document.activeElement;
return node.id || node.name || (node === document.body || node.scrollWidth > node.clientWidth ? "table" : "nothing");
"""


def test_keys_reach_all_controls(chromium, show, page, keyboard):
    """And beside these only tables that scroll."""
    show(page)
    keyboard.go_to("step-on")
    keyboard.press(*["ENTER"] * 9)  # (4), whose tables have a column for each hidden unit
    reached = set()
    for _ in range(16):
        keyboard.press("TAB")
        reached.add(chromium.execute_script(FOCUSED))
    assert reached >= CONTROLS
    assert "nothing" not in reached


@pytest.mark.parametrize("button", ["step-back", "step-on"])
def test_a_button_keeps_the_focus_at_the_end(chromium, show, page, keyboard, button):
    show(page)
    keyboard.go_to(button)
    keyboard.press(*["ENTER"] * 20)
    assert keyboard.focused() == button
    assert chromium.execute_script("return document.activeElement.getAttribute('aria-disabled')") == "true"


def test_a_row_is_chosen_at_either_place(chromium, show, page, keyboard):
    show(page)
    keyboard.go_to("row-again")
    keyboard.press("END")
    row, network = page.document["rows"][-1], page.document["runs"][0]["networks"][0]
    assert f"for row {row['row']}, " in keyboard.read()["lead"][0]
    said = chromium.execute_script("return document.getElementById('trained-says').textContent")
    whether = "one of those it was trained on" if row["trained"] else "which it was not trained on"
    assert said.endswith(f"row {row['row']}, {whether}. Its answer is {'right' if network['right'][-1] else 'wrong'}.")


@pytest.mark.parametrize("learning_rate", [3, 30])
def test_a_run_that_diverges_ends_early(show, tmp_path, keyboard, learning_rate):
    """Before, its numbers are finite, however large."""
    rows = ["x,y", "1,0.5", "2,7.5", "3,1.25", "4,-2.5"]
    (tmp_path / "a.csv").write_text("\n".join(rows), encoding="utf-8")
    page = Page(tmp_path, f"--data a.csv --row 1 --learning-rate {learning_rate}")
    runs, at = page.document["runs"], page.document["iterations"]
    gd, _, rprop = (len(run["cost"]) for run in runs)
    assert 0 < gd == len(runs[0]["networks"]) < rprop == len(at)
    show(page)
    keyboard.go_to("iteration")
    keyboard.press("END")
    said = f"After {at[-1]} updates; this run diverged: after {at[gd - 1]} its numbers grew beyond all bounds"
    assert keyboard.read()["said"][1] == said


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_and_can_be_read(chromium, show, page, keyboard, width, theme):
    """Nothing is wider than the window, and words have the contrast that WCAG asks for."""
    show(page, width, theme)
    keyboard.go_to("step")
    for keys in ([], ["ARROW_RIGHT"] * 7, ["END"]):
        keyboard.press(*keys)
        assert chromium.execute_script("return document.documentElement.scrollWidth") == width
        pairs = {tuple(pair) for pair in chromium.execute_script(COLOURS)}
        for pair in pairs:
            dark, bright = sorted(map(luminance, pair))
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, pair
    assert len(pairs) > 2
