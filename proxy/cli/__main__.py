"""`python -m proxy.cli`."""

from proxy.cli.root import main

main()
