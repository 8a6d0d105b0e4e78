"""The lab: a local page on which the ideas of the library move, every number of it computed by the library."""
