"""Multi-modal knowledge graph completion."""
