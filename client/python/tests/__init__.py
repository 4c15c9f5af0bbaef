"""Tests of rotki_bridge; see README.md for how to run them."""
