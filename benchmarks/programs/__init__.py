"""Programs that the benchmarks start: each answers one line of JSON per line that it reads, and ends with its input."""
