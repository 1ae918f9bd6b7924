"""`python -m egov_exporters.websites COMMAND`."""

from egov_exporters.websites.main import main

main()
