"""Text messages of departments: taken over HTTPS, counted against a quota, handed to Kannel, each on record.

Standard library only: the folder is carried to the host of the service as it is. It knows nothing of egovctl, which
renders its configuration from the plan.
"""
