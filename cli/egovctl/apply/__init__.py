"""Apply: bring one host to its manifest in one transaction, or leave it as it was.

Read in this order: manifest (what is wanted), placeholders and usm (secrets, put in at the last moment), probe and
differences (what the host is like, in one round trip), on_host (the program that changes it), transaction (all of it
together), prepare (packages and users, outside the transaction), contact and enrolment (the first contact).
"""
