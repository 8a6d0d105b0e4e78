"""Designs: the matrix X behind a few operations, so that a solver never asks how it is stored.

matvec(coef)   X coef        (p,) -> (n,),  (p, k) -> (n, k)
rmatvec(r)     X'r           (n,) -> (p,),  (n, k) -> (p, k)
gram(w)        X' diag(w) X  (n,) -> (p, p)
squares(w)     its diagonal  (n,) -> (p,)

These are traced. Outside a trace `times(coef)`, `rtimes(r)` and `crossprod(w)` are the first three in NumPy;
`is_matrix` (a matrix in memory, for which `diagonal(w)` is the fourth) and `gram_is_cheap` (X'WX costs no more than a
few X'r) tell what suits it; `hosted()` is the design as many of them want it; `take(rows)` and `columns(kept)` give a
part, `astype(dtype)` the design with products in "float64" or "float32", and `dense()` the matrix. `place` puts arrays
where the solver runs.
"""

from jglm.designs.categorical import Categorical
from jglm.designs.combined import Columns, Scaled, WithConstant
from jglm.designs.dense import Dense, cross, gram_blocks
from jglm.designs.lagged import Lagged
from jglm.designs.placement import place
from jglm.designs.sparse import Sparse

__all__ = [
    "Categorical", "Columns", "Dense", "Lagged", "Scaled", "Sparse", "WithConstant", "cross", "gram_blocks", "place",
]  # fmt: skip
