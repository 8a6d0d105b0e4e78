"""A fit for people: summaries, charts."""
