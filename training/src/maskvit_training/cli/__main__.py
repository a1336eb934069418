"""`python -m maskvit_training.cli`."""

from maskvit_training.cli import main

main()
