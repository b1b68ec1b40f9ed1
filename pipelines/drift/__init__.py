"""What changed at a source: columns that came, went, grew or changed, and codes that no list has."""
