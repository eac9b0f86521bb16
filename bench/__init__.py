"""Speed beside peers and beside the numbers' correctness: `python -m bench --help`. Nothing here is run by the tests' clock."""
