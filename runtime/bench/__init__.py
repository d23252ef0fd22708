"""How fast a machine certifies, beside what it could do at best and what it did before: python -m runtime bench."""
