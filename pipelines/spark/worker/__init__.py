"""What runs on the workers. It imports neither the ledger, nor the table library, nor Great Expectations: what a task
needs of them it is given."""
