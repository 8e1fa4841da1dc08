"""VNN-LIB 1.0 in the words of VNN-LIB 2.0, which the `vnnlib` package reads.

Version 1.0 declares every input X_i and output Y_j by itself and knows no types; 2.0 has tensors
X[i] and Y[j], and numbers of floating point without exponents.
"""

import re
import sys
from decimal import Decimal

from rt_tf.errors import UserError

COMMENT = re.compile(r";[^\n]*")
DECLARATION = re.compile(r"\(\s*declare-(?:const|fun)\s+(\S+?)\s*(?:\(\s*\))?\s*Real\s*\)")
NAME = re.compile(r"\b([XY])_(\d+)\b")
NUMBER = re.compile(r"(?<=[\s(])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?=[\s)])")
NONZERO = re.compile(r"[-+.0]*[1-9]")
EQUAL = re.compile(r"\(\s*=(?=\s)")

LEAST, MOST = sys.float_info.min, sys.float_info.max


def as_version_2(text: str) -> str:
    """The query in VNN-LIB 2.0; a text in that version stays as it is.

    UserError for declarations other than of X_0.. and Y_0.. .
    """
    text = COMMENT.sub("", text)
    if "declare-network" in text:
        return text
    names = DECLARATION.findall(text)
    body = NUMBER.sub(lambda match: _decimal(match[0]), DECLARATION.sub("", text))
    body = EQUAL.sub("(==", NAME.sub(r"\1[\2]", body))
    sizes = (_count(names, "X"), _count(names, "Y"))
    tensors = "(declare-input X float32 [{}]) (declare-output Y float32 [{}])".format(*sizes)
    return f"(vnnlib-version <2.0>)\n(declare-network N {tensors})\n{body}"


def _count(names: list[str], letter: str) -> int:
    """The number of variables of a letter; UserError unless they run from 0 on without gaps."""
    variables = [name for name in names if name.startswith(f"{letter}_")]
    if not variables or set(variables) != {f"{letter}_{i}" for i in range(len(variables))}:
        raise UserError(
            f"vnnlib_file: expected declarations of {letter}_0, {letter}_1, ... as Real; received "
            f"{', '.join(variables[:5]) or 'none'}"
        )
    return len(variables)


def _decimal(number: str) -> str:
    """A number without an exponent and with a point; UserError where float64 has none like it."""
    if not NONZERO.match(number):
        return "0.0"
    if not LEAST <= abs(float(number)) <= MOST:
        raise UserError(f"vnnlib_file: expected numbers in float64's range; received {number}")
    plain = format(Decimal(number), "f")
    return plain if "." in plain else f"{plain}.0"
