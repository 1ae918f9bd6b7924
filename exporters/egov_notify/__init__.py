"""Messages that arrive: what Alertmanager says as mail, text messages and posts of robots, once and once at the end.

Standard library only: the folder is carried to the NOC and to the backup node as it is. It knows nothing of egovctl,
which renders its configuration from the plan.
"""
