"""Several processes that share one port, one ledger and one admin site: `shadowread serve --workers N`.

The first process watches over the workers, runs the admin site, and proves and watches domains; each worker is an edge
with a verifier and a writer of the ledger. Counts, windows and findings meet in the ledger, as those of any two
proxies do; what only memory knows (metrics, the live tail, the share of skipped exchanges, requests to be replayed)
the workers tell several times a second over a socket of their own.

The settings' limits hold for each process by itself.
"""
