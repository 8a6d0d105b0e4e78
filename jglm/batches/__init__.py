"""Many fits as one: stacks of data sets, a step of Newton's method in all of them, and `fit_many`."""
