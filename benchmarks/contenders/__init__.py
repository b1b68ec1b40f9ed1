"""One program per contender. Each takes a job as a JSON file, and prints what it did as its last line."""
