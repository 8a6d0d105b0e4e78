"""From checked data to an optimum: Newton's method on the host, samples of rows, working sets, free parameters."""
