"""What of a fit leaves jglm: methods of `Fit` that write files."""


class Exported:
    """Model files, and tables that others score with."""

    def save(self, path):
        """Write a model file: arrays and plain values, no data and no code; `jglm.load` reads it."""
        from jglm.keeping import io, modelfile

        io.write(path, *modelfile.state(self))

    def scoring_table(self):
        """The fit as a `ScoringTable`: for every term its levels, the coefficient of each on the scale of the link
        (with the log link also its relativity), the reference level, and the constant.

        Numbers have a rate per unit; splines and polynomials are written as polynomials by pieces, which is exact.
        Interactions have a line for every combination of levels. The table was checked against the fit.

        Raises ValueError, with the reason, for what cannot be written so: several linear predictors, a link without a
        formula, terms of functions that are none of jglm.keeping.pieces.FUNCTIONS, surfaces over two numbers.
        """
        from jglm.keeping import tabulated

        return tabulated.of(self)

    def export(self, path):
        """Write the `scoring_table()` as the ending of the path says: .csv, .json or .xlsx (with openpyxl); returns the
        path. docs/model_files.md has a scorer of ten lines that needs no jglm."""
        from jglm.keeping import spreadsheets

        return spreadsheets.write(self.scoring_table(), path)
