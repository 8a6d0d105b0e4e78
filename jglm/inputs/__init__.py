"""What users give, checked: arrays, frames, formulas, labels, names."""
