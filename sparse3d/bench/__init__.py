"""Benchmarks: data sets under their protocols, runs of ours and of peers, and the page that compares them."""
