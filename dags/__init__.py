"""WHEN: one loop over the catalogue makes a DAG for each dataset, a task for each stage."""
