"""Designs: the matrix X behind a few operations, so that a solver never asks how it is stored.

matvec(coef)   X coef        (p,) -> (n,),  (p, k) -> (n, k)
rmatvec(r)     X'r           (n,) -> (p,),  (n, k) -> (p, k)
gram(w)        X' diag(w) X  (n,) -> (p, p)
squares(w)     its diagonal  (n,) -> (p,)

These are traced. On the host a design holds NumPy arrays; there `times(coef)` is X coef and `rtimes(r)` X'r,
`take(rows)` and `columns(kept)` give a part of it, and `dense()` the matrix. `place` puts it where the solver runs.
"""

from jglm.designs.dense import Dense, WithConstant, cross, gram_blocks
from jglm.designs.factors import Factors
from jglm.designs.placement import place

__all__ = ["Dense", "Factors", "WithConstant", "cross", "gram_blocks", "place"]
