"""python -m egovctl: the same as the console script."""

from egovctl.commands.main import main

main()
