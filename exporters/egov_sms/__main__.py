"""`python3 -I /usr/local/lib/egov/sms COMMAND`: the folder that holds this package is what Python runs."""

from egov_sms.main import main

main()
