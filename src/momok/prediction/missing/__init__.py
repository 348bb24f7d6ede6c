"""New facts of a whole graph: searched, ranked, written."""
