"""Score tests of very many candidate columns against one null model."""
