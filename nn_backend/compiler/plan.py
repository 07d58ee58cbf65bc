"""A plan of loops: which values of a program are computed together, what is kept between loops, how sums are blocked.

A tile of examples goes through *nests* in turn. A nest computes some values for all of their rows; what others read
across rows, and what is summed, is kept in the tile's scratch. Then come the *groups* of sums over the examples of
the tile. Both are cut into blocks whose running sums stay in registers. The plan decides the speed, never the bits, and
is the same for all printers; the number and width of registers are those of the machine that it is made for.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nn_backend.compiler.program import LANES, PAD, STRIP, TILE_ROWS, Layout, Program, Value, shapes

TOO_DEAR = ("product", "fold", "exp", "log1p", "div", "sqrt")  # to be computed twice rather than kept


class Nest(NamedTuple):
    """Values of as many rows, computed in one loop over blocks of these."""

    rows: int
    kept: tuple[Value, ...]


class Group(NamedTuple):
    """Sums over the examples that have one left factor: of its products, and of itself as one more column."""

    left: Value
    right: Value | None
    product: Value | None
    single: Value | None

    @property
    def columns(self) -> int:
        """How many sums each row of the left factor has."""
        return (self.right.rows if self.right else 0) + (self.single is not None)


class Slots(NamedTuple):
    """Arrays with a column for each example, in strips: each array's first row, and how many rows there are."""

    first: dict[Value, int]
    rows: int

    @classmethod
    def of(cls, values: Sequence[Value]) -> "Slots":
        """Place the values in turn."""
        first, row = {}, 0
        for value in values:
            first[value] = row
            row += value.rows
        return cls(first, row)


class Plan:
    """How a program is executed.

    Parameters
    ----------
    program : Program
        What to execute.

    Attributes
    ----------
    nests, groups : list of Nest, list of Group
        What a tile goes through, in order.
    examples, own, scratch, outputs : Slots
        What is read of each example, and of each network's own, kept while its tile is worked on, and returned.
    state, numbers, sums, results : Layout
        What is the same for all examples, by name, and by value in ``sums``; ``results`` leaves out ``outputs``.
    work : float
        Operations per example, roughly: multiply-adds of the products, and as many as it takes for the rest.
    is_step : bool
        Whether the results are the next state, as of the program.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._kept = _kept(program)
        places = _places(program, self._kept)
        self.nests = [
            Nest(place[1], tuple(value for value in places if places[value] == place))
            for place in sorted(set(places.values()))
        ]
        self.groups = list(_groups(program))
        self.examples, self.own = Slots.of(program.examples), Slots.of(program.own)
        self.scratch = Slots.of([value for nest in self.nests for value in nest.kept])
        self.outputs = Slots.of(list(dict.fromkeys(v for v in program.results.values() if v.varies)))
        self.state = Layout(shapes(program.state))
        self.numbers = Layout(shapes(program.numbers), pad=1)
        self.sums = Layout({value: value.shape for value in program.values if value.operation == "sum"}, pad=1)
        self.sums.size = -(-self.sums.size // PAD) * PAD  # close together: threads read each other's
        self.results = Layout({name: value.shape for name, value in program.results.items() if not value.varies})
        self.work = sum(map(_work, program.values))
        self.is_step = program.is_step

    def listing(self) -> str:
        """Return the plan as text: what each nest keeps, and the sums of each group."""
        names = self.program.names()
        lines = [
            f"plan: tiles of {TILE_ROWS} rows x {LANES} lanes, in strips of {STRIP} examples; "
            f"{self.scratch.rows} rows of scratch, {self.sums.size} sums, {self.work:g} operations per example"
        ]
        for nest in self.nests:
            inside = [names[value] for value in self.inline(nest)]
            kept = [f"{names[value]}[{value.rows}] in row {self.scratch.first[value]}" for value in nest.kept]
            lines.append(f"nest of {nest.rows} rows: {' '.join(inside)}; keeps {', '.join(kept)}")
        for group in self.groups:
            left = names[group.left]
            terms = (
                [f"{names[group.product]} = sum {left} {names[group.right]}'"] if group.product and group.right else []
            )
            terms += [f"{names[group.single]} = sum {left}"] if group.single else []
            lines.append(f"group of {group.left.rows} x {group.columns} sums: {', '.join(terms)}")
        for shape in dict.fromkeys(self.results.shapes.values()):
            together = [name for name, other in self.results.shapes.items() if other == shape]
            lines.append(f"then, element by element of [{shape[0]},{shape[1]}]: {' '.join(together)}")
        return "\n".join(lines) + "\n"

    def inline(self, nest: Nest) -> Iterator[Value]:
        """Return what a nest computes, arguments before what is computed from them."""
        needed = {value for kept in nest.kept for value in _inline(kept, self._kept)}
        return (value for value in self.program.values if value in needed)


def _reads(value: Value, kept: set[Value]) -> set[tuple[Value, bool]]:
    """Return the inputs and kept values that a value is computed from, and whether they are read across rows."""
    return {
        (argument, reader.operation in ("product", "fold") or argument.rows != value.rows)
        for reader in _inline(value, kept)
        for argument in reader.arguments
        if argument.operation == "input" or argument in kept
    }


def _inline(value: Value, kept: set[Value]) -> set[Value]:
    """Return what is computed on the way from kept values to a value, itself included."""
    found, waiting = {value}, [value]
    while waiting:
        for argument in waiting.pop().arguments:
            if argument.varies and argument.operation != "input" and argument not in kept and argument not in found:
                found.add(argument)
                waiting.append(argument)
    return found


def _places(program: Program, kept: set[Value]) -> dict[Value, tuple[int, int]]:
    """Return the nest of each kept value: how many are complete before, as it reads across rows, and its rows."""
    places: dict[Value, tuple[int, int]] = {}
    for value in program.values:
        if value in kept:
            reads = [(places[read][0], across) for read, across in _reads(value, kept) if read in places]
            places[value] = max((before + across for before, across in reads), default=0), value.rows
    return places


def _kept(program: Program) -> set[Value]:
    """Return what is kept: read across rows, summed, returned, or too dear to be computed in two nests."""
    kept = {value for value in program.results.values() if value.varies and value.operation != "input"}
    for value in program.values:
        for argument in value.arguments:
            across = value.operation in ("product", "fold", "sum") or (value.varies and argument.rows != value.rows)
            if across and argument.varies:
                kept.update(_numbers(argument))
    while True:
        nests: dict[Value, set[tuple[int, int]]] = {}
        for root, place in _places(program, kept).items():
            for value in _inline(root, kept):
                nests.setdefault(value, set()).add(place)
        more = {value for value in nests if len(nests[value]) > 1 and value.operation in TOO_DEAR}
        if not more:
            return kept
        kept |= more


def _numbers(value: Value) -> Iterator[Value]:
    """Return a computed value, or, of a comparison, which is made again where it is read, what it compares."""
    if value.kind == "f" and value.operation != "input":
        yield value
    elif value.kind != "f":
        for argument in value.arguments:
            if argument.varies:
                yield from _numbers(argument)


def _groups(program: Program) -> Iterator[Group]:
    sums = [value for value in program.values if value.operation == "sum"]
    singles = {value.arguments[0]: value for value in sums if len(value.arguments) == 1}
    for value in sums:
        if len(value.arguments) == 2:  # the single sum rides with the first product of its array
            yield Group(*value.arguments, value, singles.pop(value.arguments[0], None))
    for left, single in singles.items():
        yield Group(left, None, None, single)


def _work(value: Value) -> float:
    if value.operation == "product":
        return value.rows * value.arguments[1].rows
    if value.operation == "sum":
        return value.rows * value.columns
    return value.rows * {"exp": 10, "log1p": 20, "div": 5, "sqrt": 5}.get(value.operation, 0.5) * value.varies


class Part(NamedTuple):
    """Blocks of as many rows each: the first row, their size and their number."""

    first: int
    size: int
    count: int  # type: ignore[assignment] # a tuple's own count is of no use here


def split(n: int, most: int) -> list[Part]:
    """Cut n rows into blocks of at most ``most`` whose sizes differ by one at most: no remainder has a slower path."""
    count = -(-n // most)
    size, larger = divmod(n, count)
    parts = [Part(0, size + 1, larger), Part(larger * (size + 1), size, count - larger)]
    return [part for part in parts if part.count]


@functools.cache
def block(rows: int, columns: int, registers: int, most: tuple[int, int] = (8, 16)) -> tuple[int, int]:
    """Return the shape of a register block of running sums by the time that its multiply-adds and loads take.

    Notes
    -----
    Modelled is a processor that does two multiply-adds and two loads a cycle, a multiply-add with a latency of four.
    Measured, the shapes it prefers are within 3 % of the best.
    """

    def time(shape: tuple[int, int]) -> float:
        return sum(
            a * b * (max(s * t / 2, (s + t) / 2, 4) + 0.05 * (s + t))
            for _, s, a in split(rows, shape[0])
            for _, t, b in split(columns, shape[1])
        )

    fitting = [
        (p, q)
        for p in range(1, min(rows, most[0]) + 1)
        for q in range(1, min(columns, most[1]) + 1)
        if p * q + min(p, q) + 1 <= registers
    ]
    return min(fitting, key=time)
