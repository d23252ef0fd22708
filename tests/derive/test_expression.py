"""The grammar of densities: what it reads, and that nothing else gets through, or takes long."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
import sympy as sp
from flint import arb, ctx, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from derive import expression as expression_module
from derive.expression import FUNCTIONS, MAX_LENGTH, ExpressionError, parse_expression
from derive.formula import dim
from derive.operand import PRECISION, named, number

R, K, A = sp.Symbol("r", positive=True), sp.Symbol("k", positive=True), sp.Symbol("a", real=True)
NAMES = {"r": R, "d": dim, "pi": sp.pi, "k": K, "a": A}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exp(-r**2/2)", sp.exp(-(R**2) / 2)),
        ("r**(-k)*exp(-r**k)", R**-K * sp.exp(-(R**K))),
        ("-r**2", -(R**2)),
        ("2**3**2", sp.Integer(512)),
        ("1e-3 + .5", sp.Rational(501, 1000)),
        ("1 - 2 - 3", sp.Integer(-4)),
        ("8/4/2", sp.Integer(1)),
        ("max(r, 1) * min(r, 2)", sp.Max(R, 1) * sp.Min(R, 2)),
        ("max(1 - r, 0, r - 3)", sp.Max(1 - R, 0, R - 3)),
        ("sech(pi*r/2)", 1 / sp.cosh(sp.pi * R / 2)),
        ("- - r", R),
        ("2**-1", sp.Rational(1, 2)),
        ("2**500/2**499", sp.Integer(2)),
        ("0.1 + 0.2", sp.Rational(3, 10)),
        ("(-8)**3", sp.Integer(-512)),
        ("(1+r)**(-d-1)", (1 + R) ** (-dim - 1)),
        ("(1+r)**(-4000)", (1 + R) ** -4000),
        ("exp(-abs(r-1))", sp.exp(-sp.Abs(R - 1))),
        ("exp(-log(r)**2/2)/r", sp.exp(-(sp.log(R) ** 2) / 2) / R),
        ("exp(-1/(1-r**2))", sp.exp(-1 / (1 - R**2))),
        ("exp(-asinh(r)**2)", sp.exp(-(sp.log(R + sp.sqrt(R**2 + 1)) ** 2))),
        ("log1p(r) + expm1(r)", sp.log(1 + R) + sp.exp(R) - 1),
        ("sqrt(1/100 - r)", sp.sqrt(sp.Rational(1, 100) - R)),
        ("acosh(r/1e9)", sp.log(R / 10**9 + sp.sqrt(R**2 / 10**18 - 1))),
        ("gamma(k)*a*erf(r)*erfc(r)*atan(r)*sinh(r)*cos(r)", sp.gamma(K) * A * sp.erf(R) * sp.erfc(R) * sp.atan(R) * sp.sinh(R) * sp.cos(R)),
        ("  r  ", R),
    ],
)  # fmt: skip
def test_reads(text: str, expected: sp.Expr) -> None:
    assert parse_expression(text, NAMES) == expected


# text: a word that the message must contain
HOSTILE = {
    # not the grammar
    "__import__('os').system('true')": "unexpected",
    "r.__class__": "no attributes",
    "().__class__": "empty|expected",
    "lambda: 1": "unexpected ':'",
    "lambda": "unknown name 'lambda'",
    "'text'": "unexpected",
    '"text"': "unexpected",
    "r[0]": "brackets",
    "{r}": "brackets",
    "r<2": "--support",
    "r==2": "--support",
    "k>=2": "--param",
    "r:=2": "unexpected ':'",
    "r if r else r": "min, max and abs",
    "r;r": "unexpected ';'",
    "r%2": "unexpected '%'",
    "r//2": "no //",
    "r^2": r"base\*\*exponent",
    "r!": "gamma",
    "|r|": "abs",
    "@": "unexpected '@'",
    "r # comment": "unexpected '#'",
    "$r": "unexpected",
    "f'{r}'": "unexpected",
    # names
    "x": "called r",
    "rr": "unknown name 'rr'",
    "R": "called r",
    "unknown(r)": "unknown name 'unknown'",
    "__class__": "unknown name",
    "ln(r)": "write log",
    "pow(r,2)": r"base\*\*exponent",
    "e**r": "exp",
    "nan": "finite",
    "oo": "finite",
    "-inf": "finite",
    "r" * 1999: "unknown name",
    # shape
    "": "empty",
    "   ": "empty",
    "+": "ends",
    "-*/": r"found '\*'",
    "**": "write an operand",
    "*r": "write an operand",
    "r*": "ends",
    "exp(-r": "close exp",
    "exp(-r))": "closing bracket",
    "((r)": "close a bracket",
    "()": "expected a number",
    "r r": "product with",
    "2r": "product with",
    "2(r)": "product with",
    "(r)(r)": "product with",
    "r(2)": "not a function",
    "exp r": "after exp",
    "exp": "after exp",
    "exp()": "needs an argument",
    "exp(": "ends",
    "exp(r, r)": "1 argument",
    "min(r)": "2 to 8",
    "max(" + "r," * 8 + "r)": "2 to 8",
    "r,r": "','",
    # numbers
    "1" * 40: "30 digits",
    "1e999": "1e300",
    "1e-999": "1e-300",
    "1e99999999999999999999": "1e300",
    "0x10": "numbers read",
    "1_000": "numbers read",
    "1j": "numbers read",
    "1.2.3": "numbers read",
    "1..2": "numbers read",
    "1e": "numbers read",
    ".": "decimal point",
    # no value
    "1/0": "division by zero",
    "0/0": "division by zero",
    "1/(r-r)": "division by zero",
    "1/(r*(r+1)-r**2-r)": "division by zero",
    "1/(sin(1)**2+cos(1)**2-1)": "division by zero",
    "1/(1-max(r,1)/max(r,1))": "division by zero",
    "0**-1": "not a finite real",
    "0**0": "no value",
    "(r*(r+1)-r**2-r)**(-1)": "not a finite real",
    "sqrt(-1)": "not a finite real",
    "sqrt(-1)*sqrt(-1)": "not a finite real",
    "log(-2)": "not a finite real",
    "log(0)": "not a finite real",
    "log(-r-1)": "not a finite real",
    "sqrt(-r)": "not a finite real",
    "(-8)**(1/3)": "not a finite real",
    "(-2)**r": "not a finite real",
    "acosh(1/2)": "not a finite real",
    "gamma(0)": "not a finite real",
    "gamma(-3)": "not a finite real",
    "gamma(r-r)": "not a finite real",
    # too large
    "10**10**10": "bits",
    "9**9999999": "bits",
    "(1+1/10**20)**10000": "bits",
    "(10**29*r)**10000": "bits",
    "((10**29*r)**9999)**9999": "bits",
    "2**(k+10**9)": "bits",
    "(1+r)**(k+10**9)": "exponent beyond",
    "(1+r)**(10**6)": "exponent beyond",
    "r**(10**9)": "exponent beyond",
    "((r**9999)**9999)": "exponent beyond",
    "r**9999*r**9999": "exponent beyond",
    "r**1e9": "exponent beyond",
    "(1+sqrt(2))**1000": "exponent beyond",
    "1+r**300": "sum with a power",
    "max(1/2, (1+r)**9999)": "power beyond",
    "acosh(100-k**150)": "power beyond",
    "exp(10**25*log(2*r))": "beside a logarithm",
    "exp(10**6*log(1+1/10**6))": "beside a logarithm",
    "2**(10**25*log(2*r)/log(2))": "exponent beyond",
    "2**(1e25*log(1+r/1e30))": "beside a logarithm",
    "expm1(1e25*log(2*r))": "beside a logarithm",
    "exp(exp(exp(10)))": "beyond 1e300",
    "exp(-exp(exp(10)))": "beyond 1e300",
    "exp(-1000)": "below 1e-300",
    "gamma(10**9)": "beyond 1e300",
    "gamma(-1000.5)": "below 1e-300",
    "10**200*10**200": "beyond 1e300",
    "(1e200*r)*(1e200*r)": "beyond 1e300",
    "exp(" * 12 + "r" + ")" * 12: "nested|not a finite real",
    "sqrt(" * 40 + "1+r" + ")" * 40: "nested",
    "r/(1+" * 24 + "r" + ")" * 24: "nested",
    "(" * 500 + "r" + ")" * 500: "nested",
    "r**" * 500 + "r": "nested",
    "-" * 500 + "r": "nested",
    "*".join(f"(r+k+{i})" for i in range(100)): "terms",
    "(r+k+a+1)**1000": "terms",
    "*".join(f"max(r,{i})" for i in range(1, 20)): "12 times",
    "r+" * 600_000 + "r": "2000 characters",
    # look-alikes, control and invisible characters
    "\u0435\u0445\u0440(-r)": "CYRILLIC",
    "exp(\u2212r)": "MINUS SIGN.*ASCII -",
    "\uff52": "FULLWIDTH.*ASCII r",
    "\uff12*r": "FULLWIDTH.*ASCII 2",
    "r\u00b2": r"SUPERSCRIPT.*\*\*2",
    "2\u00d7r": r"MULTIPLICATION.*write \*",
    "\u03c0*r": "write pi",
    "r\u00a0+1": "NO-BREAK",
    "r\u200b": "ZERO WIDTH",
    "\u202er": "OVERRIDE",
    "\U0001d45f": "MATHEMATICAL.*ASCII r",
    "\ud800": "D800",
    "\u0661*r": "ARABIC",
    "exp(-r)\0": "x00",
    "exp(-r)\x1b[31m": "x1b",
    "exp(-r)\n": "one line",
    "exp(\r-r)": "one line",
    "exp(\t-r)": "spaces",
    "exp(-r)\\": r"unexpected '\\\\'",
    "r\\": r"unexpected '\\\\'",
}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_refuses_with_one_line_and_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(ExpressionError, match=HOSTILE[text]) as caught:
        parse_expression(text, NAMES)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400 and message.isascii() and message.isprintable()
    assert time.process_time() - start < 4.0  # hangs, not speed, are what this is about


def test_the_place_is_shown() -> None:
    with pytest.raises(ExpressionError, match=r"at character 8 of 'exp\(-r\)\)'"):
        parse_expression("exp(-r))", NAMES)
    text = "r + " * 200 + "1/0" + " + r" * 200
    with pytest.raises(ExpressionError, match=r"at character 802 of '\.\.\..*1/0.*\.\.\.'"):
        parse_expression(text, NAMES)


def test_only_numbers_stand_where_no_names_do() -> None:
    assert parse_expression("1/3", {}) == sp.Rational(1, 3)
    with pytest.raises(ExpressionError, match="only numbers may stand here"):
        parse_expression("r", {})


def test_the_longest_texts_are_read_quickly() -> None:
    texts = [
        "+".join("exp(-r)" for _ in range(248)),
        "+".join(f"r**{i % 99}" for i in range(330)),
        "1" + "+1/7" * 499,
        "r" + "*r" * 999,
        "+".join(f"sqrt({i})" for i in range(1, 200)),
        "*".join(f"exp(-r/{i + 1})" for i in range(150)),
        "(" * 24 + "r" + "+1)*2" * 24,
        "abs(1-" * 9 + "r" + ")" * 9,
        "max(" + ",".join(f"(r-{i})**2*exp(-r)" for i in range(8)) + ")",
        "sqrt(1+" * 9 + "r" + ")" * 9,
    ]
    for text in texts:
        assert len(text) <= MAX_LENGTH
        start = time.process_time()
        parse_expression(text, NAMES)
        assert time.process_time() - start < 4.0, text[:40]


def test_what_still_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expression_module, "MAX_SECONDS", 1e-4)
    with pytest.raises(ExpressionError, match="takes more than"):
        parse_expression("+".join(f"exp(-r/{i + 1})" for i in range(150)), NAMES)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(alphabet="rk0123456789.+-*/(), explogsqrtmin_'\"[]{}", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = parse_expression(text, NAMES)
    except ExpressionError as error:
        assert "\n" not in str(error)
        return
    assert isinstance(value, sp.Expr)
    assert value.free_symbols <= set(NAMES.values())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=30))
def test_any_unicode_is_read_or_refused(text: str) -> None:
    try:
        parse_expression(text, NAMES)
    except ExpressionError as error:
        message = str(error)
        assert message.isascii() and message.isprintable()


leaves = st.sampled_from(["r", "k", "2", "3", "1/2", "(r+1)", "0.3", "7"])
texts = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner).map(lambda t: f"({t[0]}){t[1]}({t[2]})"),
        st.tuples(st.sampled_from([n for n, f in FUNCTIONS.items() if f.most == 1]), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]},{t[2]})"),
    ),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(texts)
def test_the_expression_has_the_value_that_the_text_says(text: str) -> None:
    """Two ways: balls step by step from the text, and what SymPy made of it, evaluated."""
    try:
        value = parse_expression(text, NAMES)
    except ExpressionError:
        return
    names = {"r": sp.Rational(7, 5), "k": sp.Rational(9, 7)}
    with ctx.workprec(PRECISION):
        operands = {n: number(v) for n, v in names.items()}
        balls = expression_module._Parser(text, operands, expression_module.tokens_of(text))
        try:
            ball = balls.expression().balls[0]
        except ExpressionError:
            return  # outside its domain at this point
        if not ball.is_finite() or not abs(ball) < arb(10) ** 12:
            return
        found = value.subs({R: names["r"], K: names["k"]}).evalf(30)
        if found.is_Float and abs(found) > 1e-12:
            numerator, denominator = sp.Rational(found).as_numer_denom()
            near = arb(fmpq(int(numerator), int(denominator)))
            assert abs(near - ball) < abs(ball) / 10**20 + arb(10) ** -20, (text, found, ball)


def test_trial_values_of_names_differ() -> None:
    first, second = named(R, 0), named(K, 3)
    assert [str(b) for b in first.balls] != [str(b) for b in second.balls]
    assert all(b > 0 for b in first.balls) and any(b < 0 for b in named(A, 4).balls)
    assert all(b.is_integer() for b in named(dim, 1).balls)
    with pytest.raises(TypeError, match="exact number"):
        named(R + 1, 0)


def test_reading_leaves_the_process_alone() -> None:
    """Neither files nor other programs: an audit hook sees every attempt."""
    code = (
        "import json, sys, sympy as sp; from derive.expression import parse_expression\n"
        "r = sp.Symbol('r', positive=True); names = {'r': r}; parse_expression('exp(-r)', names)\n"
        "def hook(event, args):\n"
        "    writes = event == 'open' and args[1] not in (None, 'r', 'rb')\n"
        "    bad = ('exec', 'compile', 'import', 'os.system', 'subprocess.Popen', 'socket.connect', 'os.remove', 'os.rename')\n"
        "    if writes or event in bad:\n"
        "        print('AUDIT', event, flush=True)\n"
        "texts = json.load(sys.stdin)\n"
        "for attempt in (1, 2):\n"  # SymPy imports parts of itself when it first needs them
        "    for text in texts:\n"
        "        try: parse_expression(text, names)\n"
        "        except ValueError: pass\n"
        "    if attempt == 1: sys.addaudithook(hook)\n"
        "print('read', flush=True); compile('1', 'control', 'eval')\n"
    )
    command, given = [sys.executable, "-c", code], json.dumps(list(HOSTILE))
    run = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "read\nAUDIT compile\n"
