"""How pictures, tables and sentences call an operation.  What is not listed goes by its own name."""

from __future__ import annotations

# operation: (symbol, words)
SYMBOLS = {
    "tensor_add": ("+", "an addition"),
    "tensor_sub": ("−", "a subtraction"),
    "tensor_mul": ("×", "a multiplication"),
    "sigmoid_tensor": ("σ", "a sigmoid"),
    "tensor_divide": ("÷", "a division"),
    "tensor_pow": ("xᵖ", "a power"),
    "tensor_sum": ("Σ", "a sum"),
    "tensor_mean": ("mean", "a mean"),
    "tensor_transpose": ("xᵀ", "a transposition"),
    "tensor_concat": ("concat", "a concatenation"),
    "matmul_tensor": ("@", "a matrix product"),
    "tensor_neg": ("−x", "a change of sign"),
    "tensor_exp": ("exp", "an exponential"),
    "tensor_log": ("log", "a logarithm"),
    "tensor_sqrt": ("√x", "a square root"),
    "tensor_abs": ("|x|", "an absolute value"),
    "tensor_maximum": ("max", "a maximum"),
    "tensor_minimum": ("min", "a minimum"),
    "tensor_max": ("max", "a maximum"),
    "tensor_min": ("min", "a minimum"),
    "tensor_getitem": ("[…]", "an indexing"),
}

# (operation, the operand or parameter that is a constant number): (symbol, words)
WITH_NUMBER = {
    ("tensor_add", "a"): ("+{}", "an addition of {}"),
    ("tensor_add", "b"): ("+{}", "an addition of {}"),
    ("tensor_sub", "a"): ("{}−", "a subtraction from {}"),
    ("tensor_sub", "b"): ("−{}", "a subtraction of {}"),
    ("tensor_mul", "a"): ("×{}", "a multiplication by {}"),
    ("tensor_mul", "b"): ("×{}", "a multiplication by {}"),
    ("scalar_multiply_tensor", "c"): ("×{}", "a multiplication by {}"),
    ("tensor_divide", "a"): ("{}÷", "a division of {}"),
    ("tensor_divide", "b"): ("÷{}", "a division by {}"),
    ("tensor_pow", "x"): ("{}ˣ", "a power of {}"),
    ("tensor_pow", "p"): ("x^{}", "the power {}"),
    ("tensor_maximum", "a"): ("max {}", "a maximum with {}"),
    ("tensor_maximum", "b"): ("max {}", "a maximum with {}"),
    ("tensor_minimum", "a"): ("min {}", "a minimum with {}"),
    ("tensor_minimum", "b"): ("min {}", "a minimum with {}"),
}

COMMUTATIVE = {"+", "×", "max", "min"}  # the symbols of operations that don't ask which operand comes first

SUPERSCRIPTS = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def describe(operation: str) -> tuple[str, str]:
    """Symbol and words of an operation on tensors.

    >>> describe("tensor_mul"), describe("leaky_relu_tensor")
    (('×', 'a multiplication'), ('leaky relu', 'the operation leaky relu'))
    """
    bare = operation.removeprefix("tensor_").removesuffix("_tensor").replace("_", " ").strip()
    return SYMBOLS.get(operation, (bare, f"the operation {bare}"))


def describe_with_number(operation: str, operand: str, number: str) -> tuple[str, str]:
    """Symbol and words of an operation whose `operand` is a constant number.

    >>> describe_with_number("tensor_pow", "p", "2"), describe_with_number("tensor_pow", "p", "0.5")[0]
    (('x²', 'the power 2'), 'x^0.5')
    """
    symbol, words = WITH_NUMBER[operation, operand]
    if symbol == "x^{}" and set(number) <= set("0123456789−"):
        symbol, superscript = "x{}", number.translate(SUPERSCRIPTS)
        return symbol.format(superscript), words.format(number)
    return symbol.format(number), words.format(number)


def number_text(x: float) -> str:
    """A number as briefly as a picture needs it.

    >>> number_text(2.0), number_text(-1 / 3), number_text(12345), number_text(-0.0), number_text(True)
    ('2', '−0.3333', '12345', '0', 'True')
    """
    text = str(x) if isinstance(x, bool) else f"{x or 0:.{4 if abs(x) < 1000 else 6}g}"  # no −0
    return text.replace("-", "−")
