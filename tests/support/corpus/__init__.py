"""Bad and odd input by name, and every way there is to hand it in.

A `Bad` case names an exception and says what its message must contain; an `Odd` one names the value and
the gradient. The tables are in the modules beside this one, by topic; `entries` knows the ways in.
"""

from corpus import labels, options, outputs, shapes, types, values, weights
from corpus.cases import Bad, Odd

BAD: list[Bad] = [
    case for topic in (types, shapes, labels, weights, options, outputs) for case in topic.BAD
]
ODD: list[Odd] = [case for topic in (values, labels, weights) for case in topic.ODD]
