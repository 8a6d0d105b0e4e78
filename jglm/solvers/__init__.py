"""Solvers: each is a frozen record that sees sums over the data (`Info`), never the data."""

from jglm.solvers.base import Status
from jglm.solvers.fista import FISTA
from jglm.solvers.gradient import Gradient
from jglm.solvers.lbfgs import LBFGS
from jglm.solvers.minibatch import Minibatch
from jglm.solvers.newton import Newton
from jglm.solvers.proximal import ProximalNewton

__all__ = ["FISTA", "LBFGS", "Gradient", "Minibatch", "Newton", "ProximalNewton", "Status"]
