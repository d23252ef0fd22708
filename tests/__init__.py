"""Tests of the product, in folders that mirror its packages."""
