"""What all printers have in common: the loops of a plan, printed operation by operation.

A printer adds how its language says an operation, a load, a loop. What one operation works on is a row of a strip in
the nests, a row of lanes in the sums, and some elements of an array in what follows: on a CPU a vector, on a GPU shared
among threads, each of which has an example, a lane, or an element.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from nn_backend.compiler.functions import EXPANSIONS, expansion
from nn_backend.compiler.plan import Group, Nest, Part, Plan, Slots, block, split
from nn_backend.compiler.program import LANES, STRIP, Builder, Layout, Value


class Index(NamedTuple):
    """A whole number: what is known only when the kernel runs, by name and factor, and a constant."""

    terms: tuple[tuple[str, int], ...] = ()
    constant: int = 0

    def __add__(self, other: "Index | int") -> "Index":  # type: ignore[override]
        terms, constant = (other.terms, other.constant) if isinstance(other, Index) else ((), other)
        return Index(self.terms + terms, self.constant + constant)

    def __mul__(self, factor: int) -> "Index":  # type: ignore[override]
        return Index(tuple((name, factor * by) for name, by in self.terms), self.constant * factor)


class Loops(ABC):
    """Prints the loops of a plan.

    Attributes
    ----------
    registers : int
        How many running sums and factors a block may hold.
    row_registers : int
        How many of them a row of a strip takes.
    lane_parts : int
        How many parts of a row of lanes are summed one after the other, so that a part takes one register.
    together : int
        Rows whose results are computed side by side: long chains of operations such as exp wait for themselves.
    """

    registers: int
    row_registers: int
    lane_parts: int
    together: int

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.program = plan.program

    @abstractmethod
    def emit(self, operation: str, *operands: str) -> str:
        """Print one operation of the closed set; return the name of its result."""

    @abstractmethod
    def literal(self, value: Value) -> str:
        """Return a constant as an operand."""

    @abstractmethod
    def number(self, array: str, at: Index) -> str:
        """Print the load of a number that is the same for all."""

    @abstractmethod
    def load(self, array: str, at: Index) -> str:
        """Print the load of what one operation works on, which begins at ``at``."""

    @abstractmethod
    def store(self, array: str, at: Index, name: str) -> None:
        """Print the store of an array's elements."""

    @abstractmethod
    def store_row(self, array: str, at: Index, name: str) -> None:
        """Print the store of a strip's row, with 0 for examples that are missing."""

    @abstractmethod
    def loop(self, count: int, first: int = 0) -> AbstractContextManager[Index]:
        """Print a loop; give its counter."""

    @abstractmethod
    def strip(self) -> AbstractContextManager[Index]:
        """Print what gives a nest its strips, one after the other or each to some threads."""

    @abstractmethod
    def strips(self) -> AbstractContextManager[Index]:
        """Print the loop over the strips of a tile in which a sum is added up."""

    @abstractmethod
    def blocks(self, columns: Part, rows: Part) -> AbstractContextManager[tuple[Index, Index]]:
        """Print the loop over the blocks of a group; give their first column and row."""

    @abstractmethod
    def elements(self, size: int) -> AbstractContextManager[Index]:
        """Print the loop over an array's elements; give the first that one operation works on."""

    @abstractmethod
    def variable(self, name: str | None = None) -> str:
        """Print a variable that begins as the value of that name, or as 0."""

    @abstractmethod
    def value(self, variable: str) -> str:
        """Return the value of a variable."""

    @abstractmethod
    def put(self, variable: str, name: str) -> None:
        """Print an assignment."""

    @abstractmethod
    def add_lanes(self, parts: list[list[str]], places: list[Index]) -> None:
        """Print the halving of the lanes of sums, of which each part holds some, and their stores."""

    @abstractmethod
    def test(self, number: int, truth: str, at: Index, size: int) -> None:
        """Print that an ending's comparison has been made for elements of an array of that size."""

    def apply(self, operation: str, *bundles: Sequence[str]) -> list[str]:
        """Print an operation on several operands side by side, or the sequence that stands for it."""
        if operation not in EXPANSIONS:
            return [self.emit(operation, *operands) for operands in zip(*bundles, strict=True)]
        arguments, values = expansion(operation, self.program.dtype)
        known = {argument: list(bundle) for argument, bundle in zip(arguments, bundles, strict=True)}
        for value in values:
            given = [known.get(a) or [self.literal(a)] * len(bundles[0]) for a in value.arguments]
            known[value] = self.apply(value.operation, *given)
        return known[values[-1]]

    def uniform(self, value: Value, row: Index, column: Index | None = None) -> str:
        """Print what is the same for all examples at a row and column, computed from loaded numbers where needed."""
        if value.operation == "constant":
            return self.literal(value)
        if value.operation == "input":
            array, layout = self.array(value)
            at = Index(constant=layout.offsets[value.attribute])
            at += row * value.columns if value.rows > 1 else 0
            return self.number(array, at + column if column and value.columns > 1 else at)
        return self.apply(value.operation, *([self.uniform(a, row, column)] for a in value.arguments))[0]

    def array(self, value: Value) -> tuple[str, Layout]:
        """Return the name and layout of the row in which an input that does not vary stands."""
        state = value.attribute in self.plan.state.shapes
        return ("state", self.plan.state) if state else ("numbers", self.plan.numbers)

    def nest(self, nest: Nest) -> None:
        """Print a nest: blocks of rows, each in registers from its products to what is kept."""
        values = list(self.plan.inline(nest))
        inner = max((value.arguments[1].rows for value in values if value.operation == "product"), default=1)
        # A product fills the registers with running sums; long chains of operations need them for themselves.
        most = block(nest.rows, self.row_registers, self.registers, (16, self.row_registers))[0] if inner > 1 else 4
        for part in split(nest.rows, most):
            with self.loop(part.count) as number, self.strip() as strip:
                self.rows(nest, values, strip, number * part.size + part.first, part.size)

    def rows(self, nest: Nest, values: list[Value], strip: Index, row: Index, size: int) -> None:
        """Print a block of rows of a nest."""
        opened: dict[Value, list[str]] = {}
        for value in values:
            if value.operation == "product":
                opened[value] = self.product(value, strip, row, size)
            elif value.operation == "fold":
                opened[value] = [self.fold(value, strip)]
        for first in range(0, size, self.together):
            here = range(first, min(first + self.together, size))
            known = {value: names[here.start : here.stop] for value, names in opened.items()}
            for value in values:
                if value not in known:
                    for argument in value.arguments:
                        if argument not in known:
                            known[argument] = self.read(argument, strip, row, here)
                    known[value] = self.apply(value.operation, *(known[argument] for argument in value.arguments))
            for value in nest.kept:
                for u, name in zip(here, known[value], strict=True):
                    self.store_row(*self.place(value, strip, row + u), name)
                    if value in self.plan.outputs.first:
                        self.store_row("outputs", self.at(self.plan.outputs, value, strip, row + u), name)

    def at(self, slots: Slots, value: Value, strip: Index, row: Index) -> Index:
        """Return where a row of a strip of this tile begins among others."""
        return strip * (slots.rows * STRIP) + (row + slots.first[value]) * STRIP

    def place(self, value: Value, strip: Index, row: Index) -> tuple[str, Index]:
        """Return the array in which a row of a strip of this tile is, and where it begins."""
        arrays = {"examples": self.plan.examples, "own": self.plan.own, "scratch": self.plan.scratch}
        array = next(array for array, slots in arrays.items() if value in slots.first)
        return array, self.at(arrays[array], value, strip, row)

    def read(self, value: Value, strip: Index, row: Index, units: Sequence[int]) -> list[str]:
        """Print what a nest reads: constants, what is the same for all examples, and rows of a strip."""
        several = value.rows > 1
        rows = [row + u for u in units] if several else [Index()]
        names = [self.load(*self.place(value, strip, r)) if value.varies else self.uniform(value, r) for r in rows]
        return names if several else names * len(units)

    def product(self, value: Value, strip: Index, row: Index, size: int) -> list[str]:
        """Print matrix @ x for a block of rows: mul, then fma along k, each sum in registers of its own."""
        matrix, x = value.arguments

        def factors(k: Index) -> Iterator[str]:
            for u in range(size):
                yield self.uniform(matrix, *((k, row + u) if value.attribute else (row + u, k)))

        column = self.load(*self.place(x, strip, Index()))
        totals = [self.emit("mul", factor, column) for factor in factors(Index())]
        if x.rows > 1:
            sums = list(map(self.variable, totals))
            with self.loop(x.rows, 1) as k:
                column = self.load(*self.place(x, strip, k))
                for total, factor in zip(sums, factors(k), strict=True):
                    self.put(total, self.emit("fma", factor, column, self.value(total)))
            totals = list(map(self.value, sums))
        return totals

    def fold(self, value: Value, strip: Index) -> str:
        """Print the combination of an example's rows, from the first to the last."""
        [x] = value.arguments
        total = self.variable(self.load(*self.place(x, strip, Index())))
        argmax = value.attribute == "argmax"
        if argmax:  # counted beside the rows, as numbers
            build = Builder(self.program.dtype)
            number, first, one = self.variable(), self.variable(), self.literal(build.constant(1))
        with self.loop(x.rows, 1) as k:
            row = self.load(*self.place(x, strip, k))
            if argmax:
                self.put(number, self.emit("add", self.value(number), one))
                larger = self.emit("less", self.value(total), row)
                self.put(first, self.emit("select", larger, self.value(number), self.value(first)))
            self.put(total, self.apply("max" if argmax else value.attribute, [self.value(total)], [row])[0])
        return self.value(first if argmax else total)

    def group(self, group: Group) -> None:
        """Print the sums of a group over the examples of a tile, block by block."""
        p, q = block(group.left.rows, group.columns, self.registers)
        columns = split(group.columns, q)
        if group.single is not None:  # the last block has one column that is no product
            first, size, count = columns.pop()
            columns += [Part(first, size, count - 1)] * (count > 1) + [Part(first + size * (count - 1), size, 1)]
        for part in columns:
            single = group.single is not None and part is columns[-1]
            for rows in split(group.left.rows, p):
                with self.blocks(part, rows) as (column, row):
                    self.sums(group, row, rows.size, column, part.size - single, single)

    def sums(self, group: Group, row: Index, p: int, column: Index, q: int, single: bool) -> None:
        """Print a block of p x q sums of products, and p single ones: each lane adds its examples in order from 0."""
        left, right, offsets = group.left, group.right, self.plan.sums.offsets
        parts = []
        for part in range(self.lane_parts):
            totals = [[self.variable() for _ in range(q + single)] for _ in range(p)]
            with self.strips() as strip:
                for line in range(0, STRIP, LANES):
                    at = line + part * (LANES // self.lane_parts)
                    rows = [self.lanes(left, strip, row + u, at) for u in range(p)]
                    for c in range(q):
                        assert right is not None
                        factor = self.lanes(right, strip, column + c, at)
                        for u in range(p):
                            self.put(totals[u][c], self.emit("fma", rows[u], factor, self.value(totals[u][c])))
                    for u in range(p * single):
                        self.put(totals[u][q], self.emit("add", self.value(totals[u][q]), rows[u]))
            parts.append([self.value(total) for line in totals for total in line])
        places = []
        for u in range(p):
            for c in range(q):
                assert right is not None
                places.append((row + u) * right.rows + column + (c + offsets[group.product]))
            if single:
                places.append(row + (u + offsets[group.single]))
        self.add_lanes(parts, places)

    def lanes(self, value: Value, strip: Index, row: Index, first: int) -> str:
        """Print the load of lanes."""
        array, at = self.place(value, strip, row)
        return self.load(array, at + first)

    def follow(self) -> None:
        """Print what follows from the sums, element by element; results and endings of one shape share a loop."""
        tests = [(number, v) for number, ending in enumerate(self.program.endings.values()) for v in ending.values]
        for shape in dict.fromkeys([*self.plan.results.shapes.values(), *(value.shape for _, value in tests)]):
            names = [name for name, other in self.plan.results.shapes.items() if other == shape]
            size = shape[0] * shape[1]
            with self.elements(size) as at:
                known: dict[Value, str] = {}
                for name in names:
                    result = self.closing(self.program.results[name], shape, at, known)
                    self.store("next", at + self.plan.results.offsets[name], result)
                for number, value in tests:
                    if value.shape == shape:
                        self.test(number, self.closing(value, shape, at, known), at, size)

    def closing(self, value: Value, shape: tuple[int, int], at: Index, known: dict[Value, str]) -> str:
        """Print a value that follows from the sums, for the elements at hand."""
        if value.operation == "constant":
            return self.literal(value)
        if value not in known:
            if value.operation in ("input", "sum"):
                array, layout, key = ("total", self.plan.sums, value)
                if value.operation == "input":
                    (array, layout), key = self.array(value), value.attribute
                first = Index(constant=layout.offsets[key])
                alike = value.shape == shape and array != "numbers"  # which are packed without padding
                known[value] = self.load(array, first + at) if alike else self.number(array, first)
            else:
                operands = ([self.closing(argument, shape, at, known)] for argument in value.arguments)
                known[value] = self.apply(value.operation, *operands)[0]
        return known[value]
