"""Published benchmarks, fetched from where they lie."""
