"""`python3 -I /usr/local/lib/egov/notify serve|deadman`: the folder that holds this package is what Python runs."""

from egov_notify.main import main

main()
