"""What the JavaScript engine offers to expressions beyond the native language.

Only what stands here can be called, so no script reaches `constructor`, `call` or anything else by a name of its own.
"""

from __future__ import annotations

_TEXT = """match matchAll search charCodeAt codePointAt normalize substr trimLeft trimRight toLocaleUpperCase
    toLocaleLowerCase isWellFormed"""
_LIST = """forEach reduceRight findLastIndex entries keys values fill push pop shift unshift splice toSorted toReversed
    toSpliced with"""
_NUMBER = "toPrecision toExponential toLocaleString"
_DATE = (
    " ".join(
        f"{verb}{utc}{part}"
        for part in ("FullYear", "Month", "Date", "Hours", "Minutes", "Seconds", "Milliseconds")
        for utc in ("", "UTC")
        for verb in ("get", "set")
    )
    + """ getDay getUTCDay getTime setTime getTimezoneOffset toISOString toJSON toUTCString toDateString toTimeString
    toLocaleDateString toLocaleTimeString toLocaleString valueOf"""
)
_OTHER = """test exec get set has add delete clear keys values entries forEach union intersection difference
    symmetricDifference isSubsetOf isSupersetOf isDisjointFrom next toArray take drop"""

SCRIPT_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(_TEXT.split()),
    list: frozenset(_LIST.split()),
    int: frozenset(_NUMBER.split()),
}
"""Methods by the type that has them."""
ANY_METHOD = frozenset(f"{_TEXT} {_LIST} {_NUMBER} {_DATE} {_OTHER}".split())

CLASSES = frozenset(("Date", "RegExp", "Map", "Set", "Array", "Error", "TypeError", "RangeError"))
"""What `new` makes, and what may stand behind `instanceof`; of the latter also Object."""

_MATH = "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh cbrt hypot log1p expm1 fround clz32 imul"
_FUNCTIONS = """decodeURIComponent encodeURI decodeURI btoa atob Date.now Date.parse Date.UTC String.fromCharCode
    String.fromCodePoint Object.assign Object.freeze Object.is Object.groupBy Object.hasOwn Array.from Array.of
    Number.isSafeInteger Number.isFinite"""
SCRIPT_FUNCTIONS = frozenset(_FUNCTIONS.split()) | {f"Math.{name}" for name in _MATH.split()}
SCRIPT_NAMESPACES = frozenset(("Math", "Object", "JSON", "Array", "Number", "String", "Date"))
SCRIPT_CONSTANTS = frozenset(
    f"{owner}.{name}"
    for owner, names in {
        "Math": "PI E LN2 LN10 LOG2E LOG10E SQRT2 SQRT1_2",
        "Number": "MAX_SAFE_INTEGER MIN_SAFE_INTEGER MAX_VALUE MIN_VALUE EPSILON POSITIVE_INFINITY NEGATIVE_INFINITY",
    }.items()
    for name in names.split()
)
SCRIPT_CLOCK = frozenset(("now", "Date.now"))
FORBIDDEN_KEYS = frozenset(("__proto__", "constructor", "prototype"))
"""Keys under which nothing may be put."""
_ALL_OPTIONAL = """slice substring substr join split at flat toFixed toString charAt padStart padEnd normalize
    toPrecision toExponential toLocaleString"""
NOTHING_FROM = dict.fromkeys(_ALL_OPTIONAL.split(), 0) | dict.fromkeys(
    ("indexOf", "lastIndexOf", "includes", "startsWith", "endsWith", "fill", "splice"), 1
)
"""The argument from which null says the same as leaving it away, by method."""
