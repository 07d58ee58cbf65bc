"""What the page of `lesson` says in words: why a line is as it is, what stands in its code, and the ways to train."""

from typing import NamedTuple

from nn_backend.optimizers import rprop

TASK = "The task: find {} from the other columns."
TASK_OF_MARKS = (
    "The task: from three marks of a student, x1, x2 and x3, each 0 to 20, tell whether the student passed. "
    "The right answer, y, is 1 for passed and 0 for not; the third mark decides it, but the network must find that out."
)

WHY = {  # what learners ask about a line, by the quantity
    "z1": "@ multiplies matrices: each hidden unit adds up all inputs, each times a weight, and its bias.",
    "f1": "The sigmoid function, g in the article, squeezes any number into 0 to 1, each number by itself.",
    "z2": "As z1, one layer on: the hidden units' outputs come in.",
    "cost": "One number for how wrong the answer is: near 0 for a sure and right answer, large for a sure and wrong "
    "one.",
    "dz2": "The slope of the cost at z2: by how much the cost changes with z2. For this output and its cost it is "
    "just the difference.",
    "dw2": "Each weight's slope is the error of the unit that it leads to, times the number that came in through it.",
    "db2": "A bias adds to its unit directly, so its slope is the unit's error, summed over all rows (here one). "
    "keepdims=True keeps one row for each output. Without it, (5) would make a matrix of b2 if there were two outputs.",
    "w2": "Against the slope: where more weight costs more, the weight shrinks; where it costs less, it grows.",
    "b2": "As (4): against the slope.",
    "dz1": "@ sends the error back through the old w2; * multiplies number by number with the slope of the sigmoid, "
    "(1 - f1) f1.",
    "dw1": "As (2), one layer further back: here the inputs come in.",
    "db1": "As (3), for the hidden units. Without keepdims=True, (10) would make a matrix of the column b1.",
    "w1": "All slopes were taken at the old weights; only now does w1 change.",
    "b1": "As (5). All is new now: the next update would start here.",
}

CODE = {  # how code differs from the formula, by what stands in it
    "xp.": "xp is NumPy here.",
    "matrix_transpose(": "matrix_transpose(A) is A.T.",
    "params.": "params holds w1, b1, w2 and b2 from before the update.",
    "output.g(": "output.g is the function of this kind of output, the second piece of code.",
    "output.loss(": "output.loss is the cost of each number, for this kind of output: the second piece of code.",
    "weights": "weights says how often each row counts, here 1; it has nothing to do with w1 and w2.",
    "axis=-1,": "axis=-1 is the last axis, here the same as axis=1.",
    "axis=(-2, -1)": "axis=(-2, -1) adds up the numbers of all outputs and rows.",
    "axis=-2": "axis=-2 is the axis of the outputs.",
    "log1p(": "log1p(a) is log(1 + a), the natural logarithm; its costs are said to be in nats. The value is that "
    "of the formula, written so that log(0) never occurs.",
    "xp=xp": "xp=xp passes NumPy on.",
    " - learning_rate * ": "The comma ends it because the four new parameters stand in one list.",
}

JUMPS = (
    "Where a curve jumps up and down, its steps are too long for the direction in which the cost is steepest: they go "
    "past the lowest point and up the other side. Inputs that are large, or all of one sign, make one direction much "
    "steeper than the others; standardised inputs seldom do."
)
JUMPS_OF_MARKS = (
    "Why does the article's curve jump up and down? All marks are positive and go up to 20. So in one direction, all "
    "weights of a unit growing together, the cost is much steeper than in any other. A step that suits the others is "
    "too long for this one: it goes past the lowest point and up the other side. Standardised marks are small and of "
    "both signs: the same learning rate gives a smooth curve."
)

MEASURES = {  # of how good the answers are, by the kind of output
    "sigmoid": ("accuracy", "Accuracy: the share of these rows that are answered right; yhat of 0.5 or more means 1."),
    "softmax": ("accuracy", "Accuracy: the share of these rows that are answered right; the largest yhat counts."),
    "identity": ("R²", "R²: 1 if every answer is exact, 0 if they are no better than the mean of all rows."),
}


class Way(NamedTuple):
    """A way to train.

    Attributes
    ----------
    name, meaning : str
        What it is called, and what it is.
    optimizer : str
        The update rule.
    standardised : bool
        Whether each input is scaled by the training rows' mean and deviation.
    """

    name: str
    meaning: str
    optimizer: str
    standardised: bool


_STEPS = rprop().numbers
WAYS = (
    Way("As the article", "gradient descent, equations (1) to (10), inputs as they are", "gd", False),
    Way(
        "Standardised",
        "the same, but of each input its mean is subtracted, then it is divided by its standard deviation; "
        "the drawing below shows the inputs so scaled",
        "gd",
        True,
    ),
    Way(
        "Sign rule",
        "inputs as they are; instead of (4), (5), (9) and (10), each weight and bias has a step length of its own: at "
        f"first {_STEPS['learning_rate']}, times {_STEPS['increase']} while its slope keeps the sign, "
        f"times {_STEPS['decrease']} where the sign flips (called rprop; the learning rate above plays no part)",
        "rprop",
        False,
    ),
)
