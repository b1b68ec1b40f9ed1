"""A dataset's contract: what its entry, the code lists and the numbers that matter to it say, in which form it was in
use since when, and what changed."""
