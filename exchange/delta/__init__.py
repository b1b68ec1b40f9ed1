"""The words of Delta Sharing (PROTOCOL.md of delta-io/delta-sharing): schema, files, hints; both response formats."""
