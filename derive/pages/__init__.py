"""What docs/derivation holds: explanations, pictures, records, coverage."""
