"""From what a source has to a graph in its folder."""
