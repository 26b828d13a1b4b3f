"""Lets `python -m consilium_command` run the program."""

import sys

from consilium_command import main

sys.exit(main())
